"""Moves a published variant to a machine without a network: one tar file, its manifest first, hashes checked twice.

A bundle is not compressed: weights hardly shrink, and what unpacks to more than it is can be told by its size. Nothing
in it is trusted before its hash is right.
"""

import io
import os
import shutil
import tarfile
from pathlib import Path

import msgspec

from model_fetcher.errors import BundleDamagedError, DiskTooSmallError, HashMismatchError
from model_fetcher.progress import Progress, human_bytes
from model_fetcher.publish import new_content_folder, publish
from model_store.layout import MANIFEST_NAME, StoreLayout, folder_name, plain_name
from model_store.manifest import (
    Manifest,
    ManifestFile,
    ManifestUnreadableError,
    check_fully,
    content_folder,
    parse_manifest,
)

_MAX_MANIFEST_BYTES = 16 << 20
_COPY_BYTES = 1 << 20
_LONGEST_READ_BYTES = 64 << 20
"""More than any header needs; tarfile would take as much memory as a header says that it is long."""


class _ModestFile(io.FileIO):
    """A file of which nobody reads more at once than a header may be long."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= _LONGEST_READ_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return super().read(size) or b""


def export_bundle(manifest_path: Path, manifest: Manifest, target: Path, progress: Progress) -> None:
    """Write the bundle under a temporary name and rename it when it is complete.

    Raises:
        HashMismatchError: what is on the volume is not what the manifest names.
    """
    content = content_folder(manifest_path, manifest)
    progress.begin("export", "checking hashes")
    report = check_fully(content, manifest.files)
    if not report.whole:
        names = ", ".join((*report.missing, *report.mismatched))
        raise HashMismatchError(f"{names} on the volume is damaged", "start the fetcher, which repairs it, and export")
    free_bytes = shutil.disk_usage(target.absolute().parent).free
    if manifest.total_bytes > free_bytes:
        raise DiskTooSmallError(
            f"{target} needs {human_bytes(manifest.total_bytes)}, {human_bytes(free_bytes)} are free",
            "write the bundle to another disk",
        )
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        _write(temporary, manifest_path, manifest, content, progress)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    progress.finish("export", str(target), manifest.total_bytes)


def import_bundle(bundle: Path, layout: StoreLayout, progress: Progress) -> Manifest:
    """Unpack a bundle beside what is published, check every hash, and publish it.

    Raises:
        BundleDamagedError: it is truncated, altered, or no bundle; nothing is published.
        DiskTooSmallError: with both numbers.
    """
    try:
        with _ModestFile(bundle) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            manifest = _read_manifest(archive)
            _refuse_more_than_there_is(manifest, bundle)
            _refuse_too_little_room(manifest, layout)
            return _unpack(archive, manifest, layout, progress)
    except (tarfile.TarError, EOFError) as error:
        raise BundleDamagedError(f"{bundle} cannot be read as a bundle ({error})") from error
    except FileNotFoundError as error:
        raise BundleDamagedError(f"there is no bundle at {error.filename}", "check the path") from error


def _write(target: Path, manifest_path: Path, manifest: Manifest, content: Path, progress: Progress) -> None:
    done_bytes = 0
    progress.begin("export", target.name, 0, manifest.total_bytes)
    with tarfile.open(target, "w") as archive:
        archive.add(manifest_path, arcname=MANIFEST_NAME, filter=_anonymous)
        for file in manifest.files:
            archive.add(content / file.path, arcname=f"content/{file.path}", filter=_anonymous)
            done_bytes += file.size_bytes
            progress.advance("export", file.path, done_bytes, manifest.total_bytes)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Whoever exports has other user numbers than whoever imports, and neither matters."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o644
    return entry


def _read_manifest(archive: tarfile.TarFile) -> Manifest:
    entry = archive.next()
    if entry is None or entry.name != MANIFEST_NAME or not entry.isreg() or entry.size > _MAX_MANIFEST_BYTES:
        raise BundleDamagedError("it does not begin with a manifest, so it is no bundle of this project")
    file = archive.extractfile(entry) or io.BytesIO()
    try:
        manifest = parse_manifest(file.read(), "the bundle's manifest")
        folder_name(manifest.model)
        for name in (manifest.variant, manifest.content, manifest.commit):
            plain_name(name)
    except (ManifestUnreadableError, ValueError) as error:
        raise BundleDamagedError(str(error)) from error
    return manifest


def _refuse_more_than_there_is(manifest: Manifest, bundle: Path) -> None:
    """A sparse entry of an archive can be a few bytes long and unpack to a disk full of zeros."""
    bundle_bytes = bundle.stat().st_size
    if manifest.total_bytes > bundle_bytes:
        raise BundleDamagedError(
            f"its manifest names {human_bytes(manifest.total_bytes)} of files, it is {human_bytes(bundle_bytes)} long"
        )


def _refuse_too_little_room(manifest: Manifest, layout: StoreLayout) -> None:
    free_bytes = shutil.disk_usage(layout.root).free
    if manifest.total_bytes > free_bytes:
        raise DiskTooSmallError(
            f"{manifest.model} needs {human_bytes(manifest.total_bytes)} on {layout.root}, "
            f"{human_bytes(free_bytes)} are free"
        )


def _unpack(archive: tarfile.TarFile, manifest: Manifest, layout: StoreLayout, progress: Progress) -> Manifest:
    folder = new_content_folder(layout, manifest.model, manifest.variant, manifest.commit)
    try:
        _extract(archive, manifest, folder, progress)
        progress.begin("import", "checking hashes")
        report = check_fully(folder, manifest.files)
        if not report.whole:
            names = ", ".join((*report.missing, *report.mismatched))
            raise BundleDamagedError(f"{names} in the bundle is missing or does not match its manifest")
        arrived = msgspec.structs.replace(manifest, content=folder.name, files=_with_new_times(folder, manifest))
        publish(layout, arrived)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    progress.finish("import", manifest.model, manifest.total_bytes)
    return arrived


def _extract(archive: tarfile.TarFile, manifest: Manifest, folder: Path, progress: Progress) -> None:
    """Write exactly the files that the manifest names; the archive's own paths and sizes decide nothing."""
    expected = {f"content/{file.path}": file for file in manifest.files}
    done_bytes = 0
    progress.begin("import", manifest.model, 0, manifest.total_bytes)
    while (entry := archive.next()) is not None:
        file = expected.pop(entry.name, None)  # each once, and nothing but files: links lead elsewhere
        if file is None or not entry.isreg() or entry.issparse() or entry.size != file.size_bytes:
            raise BundleDamagedError(f"it holds {entry.name!r}, which is not what its manifest names")
        target = folder / file.path
        _make_folder(target.parent, entry.name)
        with archive.extractfile(entry) or io.BytesIO() as packed, target.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, _COPY_BYTES)
        done_bytes += file.size_bytes
        progress.advance("import", file.path, done_bytes, manifest.total_bytes)


def _make_folder(folder: Path, name: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise BundleDamagedError(f"it holds {name!r} below what is a file") from error


def _with_new_times(folder: Path, manifest: Manifest) -> tuple[ManifestFile, ...]:
    return tuple(
        msgspec.structs.replace(file, mtime_ns=(folder / file.path).stat().st_mtime_ns) for file in manifest.files
    )
