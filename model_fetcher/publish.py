"""Makes a variant exist: everything flushed to disk, then the manifest in one step, then the old content removed.

Until the manifest is written a reader sees the old content or none; after it, the new one.
"""

import datetime
import importlib.metadata
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from model_fetcher.sources.base import Listing
from model_store.layout import MANIFEST_NAME, StoreLayout, plain_name
from model_store.manifest import (
    Agreement,
    Manifest,
    ManifestFile,
    ManifestUnreadableError,
    ModelShape,
    read_manifest,
    write_manifest,
)

_TOOLS = ("preheat", "huggingface-hub", "transformers", "torch", "optimum-intel", "openvino", "nncf")


def describe(
    *,
    model: str,
    listing: Listing,
    variant: str,
    precision: str,
    content: str,
    shape: ModelShape,
    files: Iterable[ManifestFile],
    agreement: Agreement | None = None,
) -> Manifest:
    """Assemble a manifest with today's date and the versions of the tools that made the content."""
    return Manifest(
        model=model,
        source=listing.origin,
        commit=listing.commit,
        source_stamp=listing.stamp,
        licence=listing.licence,
        variant=variant,
        precision=precision,
        content=content,
        shape=shape,
        files=tuple(files),
        agreement=agreement,
        made_by=_tool_versions(),
        published_at=datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="seconds"),
    )


def publish(layout: StoreLayout, manifest: Manifest) -> Path:
    """Write the manifest of a content folder that is complete, and remove what it replaces.

    Raises:
        OSError: the volume is full or cannot be written; nothing is published then.
    """
    folder = layout.variant(manifest.model, manifest.variant)
    for file in manifest.files:
        _flush(folder / manifest.content / file.path)
    _flush(folder / manifest.content)
    path = folder / MANIFEST_NAME
    write_manifest(path, manifest)
    _flush(folder)
    remove_unpublished(folder, keep=manifest.content)
    return path


def new_content_folder(layout: StoreLayout, model: str, variant: str, commit: str) -> Path:
    """Make an empty folder beside what is published; leftovers of writers that died are cleared first."""
    folder = layout.variant(model, variant)
    folder.mkdir(parents=True, exist_ok=True)
    remove_unpublished(folder, keep=_published_content(folder))
    taken = {path.name for path in folder.iterdir()}
    beginning = plain_name(commit[:12])
    name = next(name for name in (f"{beginning}-{number}" for number in range(1, 1 << 20)) if name not in taken)
    (folder / name).mkdir()
    return folder / name


def remove_unpublished(variant_folder: Path, keep: str | None) -> None:
    """Remove every content folder except the published one. Call it only as the volume's one writer."""
    if not variant_folder.is_dir():
        return
    for path in variant_folder.iterdir():
        if path.is_dir() and path.name != keep:
            shutil.rmtree(path)


def remove_variant(variant_folder: Path) -> bool:
    """Remove a variant, its manifest first, so that no reader sees half of it; returns whether there was one."""
    if not variant_folder.is_dir():
        return False
    (variant_folder / MANIFEST_NAME).unlink(missing_ok=True)
    shutil.rmtree(variant_folder)
    return True


def _published_content(variant_folder: Path) -> str | None:
    try:
        manifest = read_manifest(variant_folder / MANIFEST_NAME)
    except ManifestUnreadableError:
        return None  # nobody can read that content either
    return manifest.content if manifest else None


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _tool_versions() -> dict[str, str]:
    versions: dict[str, str] = {}
    for name in _TOOLS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
