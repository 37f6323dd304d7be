"""Files against their publisher's hashes: a report, never an exception."""

import hashlib
from pathlib import Path

import pytest

from model_fetcher.sources import SourceFile
from model_fetcher.verify import verify_files

TEXT = b"hello\n"
SHA256 = hashlib.sha256(TEXT).hexdigest()
GIT_SHA1 = "ce013625030ba8dba906f756967f9e9ca394464a"
"""What `git hash-object` says of a file that holds "hello" and a line feed."""


@pytest.mark.parametrize("hashes", [{"sha256": SHA256}, {"git_sha1": GIT_SHA1}], ids=["large file", "small file"])
def test_a_file_that_matches_gets_its_manifest_entry(tmp_path: Path, hashes: dict[str, str]) -> None:
    (tmp_path / "a.txt").write_bytes(TEXT)
    result = verify_files(tmp_path, [SourceFile(path="a.txt", size_bytes=6, **hashes)])
    assert result.report.whole
    assert [(file.path, file.size_bytes, file.sha256) for file in result.files] == [("a.txt", 6, SHA256)]


@pytest.mark.parametrize("hashes", [{"sha256": SHA256}, {"git_sha1": GIT_SHA1}], ids=["large file", "small file"])
def test_another_byte_is_a_mismatch(tmp_path: Path, hashes: dict[str, str]) -> None:
    (tmp_path / "a.txt").write_bytes(b"hellO\n")
    result = verify_files(tmp_path, [SourceFile(path="a.txt", size_bytes=6, **hashes)])
    assert (result.report.mismatched, result.files) == (("a.txt",), ())


def test_another_size_is_a_mismatch_whatever_the_hash(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(TEXT)
    assert verify_files(tmp_path, [SourceFile(path="a.txt", size_bytes=7)]).report.mismatched == ("a.txt",)


def test_missing_and_extra_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "extra.txt").write_bytes(TEXT)
    report = verify_files(tmp_path, [SourceFile(path="absent.txt", size_bytes=6)]).report
    assert (report.missing, report.extra, report.whole) == (("absent.txt",), ("extra.txt",), False)


def test_progress_counts_all_files_together(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(TEXT)
    heard: list[int] = []
    verify_files(tmp_path, [SourceFile(path=name, size_bytes=6) for name in ("a", "b")], heard.append)
    assert heard == [6, 12]
