"""Clears what writers that died have left on the volume: nobody names it, nothing can go on from it, and it takes room.

Downloads that can be resumed are no leftovers, and neither are originals whose manifest is missing or unreadable: they
are compared with their publisher's hashes and published again, which is cheaper than another download.
"""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

from model_fetcher.lock import writer_lock_if_free
from model_store.layout import MANIFEST_NAME, StoreLayout
from model_store.manifest import ManifestUnreadableError, read_manifest
from model_store.variants import OPENVINO

log = logging.getLogger(__name__)
CONVERTED = f"{OPENVINO}-"
"""What the names of variants begin with that a conversion made, which starts anew when it was interrupted."""


def sweep_if_alone(layout: StoreLayout) -> None:
    """Clear leftovers, unless there are none, another fetcher is at work, or the volume cannot be written."""
    try:
        if not any(leftovers(layout)):
            return
        with writer_lock_if_free(layout) as alone:
            if alone:
                sweep(layout)
    except OSError as error:
        log.debug("sweep: leftovers of an interrupted run were not removed (%s)", error)


def sweep(layout: StoreLayout) -> None:
    """Clear leftovers. Call it only as the volume's one writer; what cannot be removed stays, and is told of."""
    for path in _found(layout):
        name = path.relative_to(layout.root)
        try:
            _remove(path)
        except OSError as error:
            log.warning("sweep: %s was left by an interrupted run and cannot be removed (%s)", name, error)
        else:
            log.info("sweep: %s was left by an interrupted run and is removed", name)


def _found(layout: StoreLayout) -> tuple[Path, ...]:
    try:
        return (*leftovers(layout), *_empty_folders(layout.downloads))
    except OSError as error:
        log.warning("sweep: leftovers of interrupted runs cannot be looked for (%s)", error)
        return ()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def leftovers(layout: StoreLayout) -> Iterator[Path]:
    """Find what no manifest names and no run will use; reads the volume only."""
    note = layout.fetch_progress
    if note.exists():
        yield note
    yield from layout.root.glob(f".{note.name}.*")
    for variant in sorted(layout.models.glob("*/*")):
        if variant.is_dir():
            yield from variant.glob(f".{MANIFEST_NAME}.*")
            yield from _unnamed_content(variant)


def _unnamed_content(variant: Path) -> Iterator[Path]:
    try:
        manifest = read_manifest(variant / MANIFEST_NAME)
    except (ManifestUnreadableError, OSError):  # somebody else's, perhaps, and none of this run's business
        return
    if manifest is None and not variant.name.startswith(CONVERTED):
        return
    named = manifest.content if manifest is not None else None
    yield from (path for path in variant.iterdir() if path.is_dir() and path.name != named)


def _empty_folders(folder: Path) -> Iterator[Path]:
    """Find the folders below this one in which there is no file, the outermost alone."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir():
            if any(below.is_file() for below in path.rglob("*")):
                yield from _empty_folders(path)
            else:
                yield path
