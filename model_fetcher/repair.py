"""Mends a published variant file by file: what is whole stays, so a damaged tokenizer does not cost a download.

A file is replaced only by bytes that have the very hash that the manifest names.
"""

import logging
import shutil
from pathlib import Path

import msgspec

from model_fetcher.errors import HashMismatchError
from model_fetcher.fetch import fetch_file
from model_fetcher.plan import REPAIR_PREFIX
from model_fetcher.progress import Progress
from model_fetcher.sources import Source, SourceFile
from model_fetcher.standing import Standing
from model_store.layout import StoreLayout
from model_store.manifest import ManifestFile, sha256_of, write_manifest

log = logging.getLogger(__name__)


def refetch(standing: Standing, source: Source, layout: StoreLayout, progress: Progress) -> None:
    """Fetch the damaged files of a variant that is kept as published, at the commit that the manifest names.

    Raises:
        HashMismatchError: what the source has is not what the manifest names.
        FetchError: the source cannot be had.
    """
    manifest = standing.manifest
    folder = layout.download(manifest.model, f"{REPAIR_PREFIX}{manifest.commit}")
    bad = _bad_files(standing)
    for number, entry in enumerate(bad, start=1):
        file = SourceFile(path=entry.path, size_bytes=entry.size_bytes, sha256=entry.sha256)
        fetch_file(file, folder, source, progress, f"{number}/{len(bad)} {entry.path} (repair)")
        if sha256_of(folder / entry.path) != entry.sha256:
            shutil.rmtree(folder)
            raise HashMismatchError(f"{entry.path} arrived with content that the manifest's hash denies")
        _put_in_place(folder / entry.path, standing.content / entry.path)
    shutil.rmtree(folder, ignore_errors=True)
    _finish(standing, bad)


def mend_from(fresh: Path, standing: Standing) -> bool:
    """Take the damaged files from a fresh conversion of the same source, if it gave the very same bytes.

    Returns whether it did; if not, the fresh content has to be published as a whole.
    """
    bad = _bad_files(standing)
    if any(not (fresh / file.path).is_file() or sha256_of(fresh / file.path) != file.sha256 for file in bad):
        return False
    for file in bad:
        _put_in_place(fresh / file.path, standing.content / file.path)
    shutil.rmtree(fresh)
    _finish(standing, bad)
    return True


def _bad_files(standing: Standing) -> tuple[ManifestFile, ...]:
    names = {*standing.report.missing, *standing.report.mismatched}
    return tuple(file for file in standing.manifest.files if file.path in names)


def _put_in_place(new: Path, damaged: Path) -> None:
    damaged.parent.mkdir(parents=True, exist_ok=True)
    new.replace(damaged)


def _finish(standing: Standing, mended: tuple[ManifestFile, ...]) -> None:
    """Note the new files' times, so that the next quick check does not read them."""
    names = {file.path for file in mended}
    files = tuple(
        msgspec.structs.replace(file, mtime_ns=(standing.content / file.path).stat().st_mtime_ns)
        if file.path in names
        else file
        for file in standing.manifest.files
    )
    write_manifest(standing.path, msgspec.structs.replace(standing.manifest, files=files))
    log.info("repair: %s is whole again; nothing else was touched", ", ".join(sorted(names)))
