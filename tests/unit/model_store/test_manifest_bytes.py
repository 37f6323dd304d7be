"""A manifest whose bytes somebody or something has changed: it is read, or refused in a sentence, and nothing else."""

import random
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.manifest import Manifest, ManifestFile, ManifestUnreadableError, parse_manifest
from tests.support.manifests import CONVERTED

MANIFEST = msgspec.structs.replace(
    CONVERTED,
    files=(ManifestFile(path="a/b.bin", size_bytes=7, sha256="00" * 32, mtime_ns=1),),
    made_by={"gateway": "1"},
)
WRITTEN = msgspec.json.encode(MANIFEST)
RANDOM_MANIFESTS = 2000
"""`make fuzz` takes a million."""


def read(raw: bytes) -> Manifest | None:
    """Read it as everybody does; what is read can be asked for its files and their sum."""
    with suppress(ManifestUnreadableError):
        manifest = parse_manifest(raw, "manifest.json")
        for file in manifest.files:
            Path("/models", manifest.content, file.path).exists()
        assert manifest.total_bytes is not None
        return manifest
    return None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        b'{"model": "\xff\xfe"}',
        b'{"extra":' + b"[" * 100_000,
        b"[" * 100_000,
        b'{"\\ud800": 1}',
        b"\xef\xbb\xbf" + WRITTEN,
        WRITTEN[:-1],
        WRITTEN.replace(b"c0ffee-1", b"\\u0000"),
        WRITTEN.replace(b"a/b.bin", b"a\\u0000b"),
        WRITTEN.replace(b"a/b.bin", b"a/../../b"),
        WRITTEN.replace(b'"size_bytes":7', b'"size_bytes":' + b"9" * 5000),
        WRITTEN.replace(b'"size_bytes":7', b'"size_bytes":1e999'),
    ],
    ids=range(13),
)
def test_what_is_no_manifest_is_refused_in_a_sentence(raw: bytes) -> None:
    with pytest.raises(ManifestUnreadableError, match=r"^manifest\.json .*(run the fetcher again|remove the variant)$"):
        parse_manifest(raw, "manifest.json")


def test_what_was_written_is_read() -> None:
    assert read(WRITTEN) == MANIFEST


@given(position=st.integers(0, len(WRITTEN)), removed=st.integers(0, 9), added=st.binary(max_size=9))
def test_bytes_changed_anywhere_end_in_a_manifest_or_a_sentence(position: int, removed: int, added: bytes) -> None:
    read(WRITTEN[:position] + added + WRITTEN[position + removed :])


@given(raw=st.binary(max_size=60))
def test_any_bytes_end_in_a_manifest_or_a_sentence(raw: bytes) -> None:
    read(raw)


def test_random_changes_end_in_a_manifest_or_a_sentence() -> None:
    fuzz_manifest(random.Random(6), RANDOM_MANIFESTS)


def fuzz_manifest(noise: random.Random, times: int) -> None:
    """Change, move and cut bytes of a good manifest; the failing one is in the message."""
    for _ in range(times):
        raw = bytearray(WRITTEN)
        for _ in range(noise.randrange(1, 4)):
            start = noise.randrange(len(raw) + 1)
            raw[start : start + noise.randrange(6)] = noise.choice(
                [noise.randbytes(noise.randrange(4)), bytes(raw[: noise.randrange(40)]), b"", b"\\u0000", b"[", b'"']
            )
        try:
            read(bytes(raw))
        except Exception as error:
            raise AssertionError(bytes(raw)) from error
