"""Brings the planned files to the volume, one by one, and has them checked; files that are there already stay.

A file grows under a partial name and gets its own name when it has its full size, so a killed run loses nothing.
"""

import logging
from pathlib import Path

from model_fetcher.errors import HashMismatchError
from model_fetcher.plan import PARTIAL_SUFFIX, Download
from model_fetcher.progress import Progress
from model_fetcher.sources import Source, SourceFile
from model_fetcher.verify import Verification, verify_files

log = logging.getLogger(__name__)


def fetch(download: Download, source: Source, progress: Progress) -> None:
    """Fetch whatever is still missing.

    Raises:
        FetchError: the source refuses, or cannot be reached within all attempts.
    """
    for number, file in enumerate(download.files, start=1):
        if not (download.folder / file.path).is_file():
            fetch_file(file, download.folder, source, progress, f"{number}/{len(download.files)} {file.path}")


def fetch_file(file: SourceFile, folder: Path, source: Source, progress: Progress, label: str) -> None:
    """Fetch one file below a folder, going on from its partial file."""
    target = folder / file.path
    partial = target.with_name(target.name + PARTIAL_SUFFIX)
    target.parent.mkdir(parents=True, exist_ok=True)
    had_bytes = partial.stat().st_size if partial.exists() else 0
    progress.begin("fetch", label, had_bytes, file.size_bytes)
    source.fetch(file, partial, lambda done_bytes: progress.advance("fetch", label, done_bytes, file.size_bytes))
    partial.replace(target)
    progress.finish("fetch", label, file.size_bytes)


def verify(download: Download, source: Source, progress: Progress) -> Verification:
    """Check every file against its publisher's hash; what differs is fetched once more, and only that.

    Raises:
        HashMismatchError: a file differs again.
    """
    verification = _verify(download, progress)
    if verification.report.whole:
        return verification
    wrong = {*verification.report.missing, *verification.report.mismatched}
    for file in (file for file in download.files if file.path in wrong):
        log.warning("verify: %s does not match its publisher's hash; it is fetched again", file.path)
        (download.folder / file.path).unlink(missing_ok=True)
        fetch_file(file, download.folder, source, progress, f"again {file.path}")
    verification = _verify(download, progress)
    if not verification.report.whole:
        names = sorted({*verification.report.missing, *verification.report.mismatched})
        for name in names:
            (download.folder / name).unlink(missing_ok=True)
        raise HashMismatchError(f"{', '.join(names)} twice arrived with content that its publisher's hash denies")
    return verification


def _verify(download: Download, progress: Progress) -> Verification:
    label = f"{len(download.files)} files"
    progress.begin("verify", label, 0, download.total_bytes)
    result = verify_files(
        download.folder,
        download.files,
        lambda done_bytes: progress.advance("verify", label, done_bytes, download.total_bytes),
    )
    progress.finish("verify", label, download.total_bytes)
    return result
