"""The manifest: written at once, read or refused with a sentence, and checked against what is on the disk."""

import os
from pathlib import Path

import msgspec
import pytest

from model_store.manifest import (
    Manifest,
    ManifestUnreadableError,
    check_fully,
    check_quickly,
    describe_files,
    parse_manifest,
    read_manifest,
    write_manifest,
)
from tests.support.manifests import CONVERTED, SMALL


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    content = tmp_path / "content"
    (content / "inner").mkdir(parents=True)
    (content / "a.bin").write_bytes(b"weights")
    (content / "inner" / "b.json").write_bytes(b"{}")
    return content


def manifest_of(folder: Path, variant: str = "openvino-int8") -> Manifest:
    return Manifest(
        model="org/name",
        source="https://hub/org/name",
        commit="c0ffee",
        licence="apache-2.0",
        variant=variant,
        precision="int8",
        content=folder.name,
        shape=SMALL,
        files=describe_files(folder),
        published_at="2026-01-01T00:00:00+00:00",
    )


def test_what_is_written_is_read_back(folder: Path) -> None:
    path = folder.parent / "manifest.json"
    write_manifest(path, manifest_of(folder))
    assert read_manifest(path) == manifest_of(folder)
    assert sorted(entry.name for entry in folder.parent.iterdir()) == ["content", "manifest.json"]


def test_no_manifest_is_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path / "absent" / "manifest.json") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format_version": 1}'])
def test_half_a_manifest_is_refused_with_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ManifestUnreadableError, match="run the fetcher again"):
        read_manifest(path)


def _read_or_refuse(raw: bytes) -> Manifest | None:
    """What a reader makes of a manifest's text: the manifest, or None where it is refused."""
    try:
        return parse_manifest(raw, "manifest.json")
    except ManifestUnreadableError:
        return None


def test_a_manifest_that_was_cut_anywhere_is_refused_or_was_whole(folder: Path) -> None:
    path = folder.parent / "manifest.json"
    write_manifest(path, manifest_of(folder))
    raw = path.read_bytes()
    kept = [length for length in range(len(raw)) if _read_or_refuse(raw[:length]) is not None]
    assert kept == [len(raw) - 1], "without its last line break it is whole, and anything shorter is not"
    assert parse_manifest(raw[:-1], "manifest.json") == manifest_of(folder)


@pytest.mark.parametrize("mask", [0x01, 0x10, 0x20, 0x80, 0xFF])
def test_a_manifest_with_one_wrong_byte_is_refused_or_says_the_same(folder: Path, mask: int) -> None:
    path = folder.parent / "manifest.json"
    write_manifest(path, manifest_of(folder))
    raw = path.read_bytes()
    taken = []
    for place in range(len(raw)):
        read = _read_or_refuse(raw[:place] + bytes([raw[place] ^ mask]) + raw[place + 1 :])
        assert read in (None, manifest_of(folder)), f"byte {place} of {len(raw)}"
        taken += [place] if read else []
    above = raw.index(b',\n  "sha256_of_the_above"')
    assert all(place > above for place in taken), "everything above the hash is under it"


def test_a_manifest_without_a_hash_of_its_own_is_taken_as_it_is() -> None:
    assert parse_manifest(msgspec.json.encode(CONVERTED), "a bundle's manifest") == CONVERTED


def test_a_newer_format_is_refused_with_both_numbers(folder: Path) -> None:
    path = folder.parent / "manifest.json"
    write_manifest(path, msgspec.structs.replace(manifest_of(folder), format_version=9))
    with pytest.raises(ManifestUnreadableError, match="has format 9, this version reads 1"):
        read_manifest(path)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", ""])
def test_a_manifest_that_leads_outside_its_folder_is_refused(folder: Path, name: str) -> None:
    path = folder.parent / "manifest.json"
    manifest = manifest_of(folder)
    moved = (msgspec.structs.replace(manifest.files[0], path=name), *manifest.files[1:])
    write_manifest(path, msgspec.structs.replace(manifest, files=moved))
    with pytest.raises(ManifestUnreadableError, match="not inside its folder"):
        read_manifest(path)


def test_an_untouched_folder_is_whole(folder: Path) -> None:
    files = describe_files(folder)
    assert check_quickly(folder, files).whole
    assert check_fully(folder, files).whole


def test_missing_mismatched_and_extra_files_are_told_apart(folder: Path) -> None:
    files = describe_files(folder)
    (folder / "a.bin").write_bytes(b"WEIGHTS")
    (folder / "inner" / "b.json").unlink()
    (folder / "c.txt").write_bytes(b"")
    report = check_quickly(folder, files)
    assert (report.missing, report.mismatched, report.extra) == (("inner/b.json",), ("a.bin",), ("c.txt",))


def test_a_touched_file_is_settled_by_its_hash(folder: Path) -> None:
    files = describe_files(folder)
    os.utime(folder / "a.bin", ns=(1, 1))
    assert check_quickly(folder, files).whole


def test_only_a_full_check_finds_a_change_that_kept_size_and_time(folder: Path) -> None:
    files = describe_files(folder)
    times = (folder / "a.bin").stat()
    (folder / "a.bin").write_bytes(b"WEIGHTS")
    os.utime(folder / "a.bin", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert check_quickly(folder, files).whole
    assert check_fully(folder, files).mismatched == ("a.bin",)


class _StoppedError(Exception):
    """Nobody wants the hashes any more."""


def _stop() -> None:
    raise _StoppedError


def test_a_check_ends_as_soon_as_it_is_told_to_and_reads_no_further(folder: Path) -> None:
    files = describe_files(folder)
    with pytest.raises(_StoppedError):
        check_fully(folder, files, _stop)
    os.utime(folder / "a.bin", ns=(1, 1))
    with pytest.raises(_StoppedError):
        check_quickly(folder, files, _stop)


def test_a_file_that_is_removed_while_others_are_read_is_not_as_the_manifest_says(folder: Path) -> None:
    files = describe_files(folder)
    report = check_fully(folder, files, lambda: (folder / "inner" / "b.json").unlink(missing_ok=True))
    assert (report.missing, report.mismatched) == ((), ("inner/b.json",))
