"""Compares downloaded files with the hashes that their publisher states, and reports; what to do is decided elsewhere.

Large files carry a SHA-256 (LFS), small ones the SHA-1 that git gives a blob. One pass over a file computes whatever
the publisher stated and the SHA-256 that the manifest keeps.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from model_fetcher.sources.base import SourceFile
from model_store.manifest import CheckReport, ManifestFile

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Verification:
    """The report, and the manifest entries of the files that match."""

    report: CheckReport
    files: tuple[ManifestFile, ...]


def verify_files(
    folder: Path, expected: Iterable[SourceFile], on_bytes: Callable[[int], None] = lambda _: None
) -> Verification:
    """Check every expected file below a folder; `on_bytes` hears how many bytes were read in all."""
    missing: list[str] = []
    mismatched: list[str] = []
    matching: list[ManifestFile] = []
    expected = tuple(expected)
    read_before = 0
    for file in expected:
        path = folder / file.path
        if not path.is_file():
            missing.append(file.path)
            continue
        entry = _matching_entry(path, file, lambda count, base=read_before: on_bytes(base + count))  # type: ignore[misc]
        read_before += path.stat().st_size
        if entry is None:
            mismatched.append(file.path)
        else:
            matching.append(entry)
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    extra = present - {file.path for file in expected}
    return Verification(CheckReport(tuple(missing), tuple(mismatched), tuple(sorted(extra))), tuple(matching))


def _matching_entry(path: Path, expected: SourceFile, on_bytes: Callable[[int], None]) -> ManifestFile | None:
    status = path.stat()
    if status.st_size != expected.size_bytes:
        return None
    sha256 = hashlib.sha256()
    git_sha1 = hashlib.sha1(f"blob {status.st_size}\0".encode(), usedforsecurity=False)
    read_bytes = 0
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            sha256.update(block)
            if expected.git_sha1 is not None:
                git_sha1.update(block)
            read_bytes += len(block)
            on_bytes(read_bytes)
    if expected.sha256 not in {None, sha256.hexdigest()} or expected.git_sha1 not in {None, git_sha1.hexdigest()}:
        return None
    return ManifestFile(
        path=expected.path, size_bytes=status.st_size, sha256=sha256.hexdigest(), mtime_ns=status.st_mtime_ns
    )
