"""Bundles made by someone who means harm: nothing is written outside the volume, and nothing grows beyond its file."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from model_fetcher.bundle import import_bundle
from model_fetcher.errors import BundleDamagedError
from model_fetcher.progress import Progress
from model_store.layout import MANIFEST_NAME, StoreLayout
from model_store.manifest import check_fully, content_folder

WEIGHTS = b"weights" * 1000
SHAPE = {
    "architecture": "LlamaForCausalLM",
    "context_tokens": 512,
    "vocabulary_tokens": 300,
    "num_layers": 2,
    "num_kv_heads": 2,
    "head_size": 16,
    "num_parameters": 1000,
}


def entry_of(path: str, content: bytes = WEIGHTS, size_bytes: int | None = None) -> dict[str, object]:
    size_bytes = len(content) if size_bytes is None else size_bytes
    return {"path": path, "size_bytes": size_bytes, "sha256": hashlib.sha256(content).hexdigest(), "mtime_ns": 0}


def a_manifest(**changes: object) -> bytes:
    manifest = {
        "format_version": 1,
        "model": "team/ready",
        "source": "https://hub/team/ready",
        "commit": "c0ffee",
        "licence": None,
        "variant": "openvino",
        "precision": "int8",
        "content": "c0ffee-1",
        "shape": SHAPE,
        "files": [entry_of("a.bin")],
        "published_at": "2026-01-01T00:00:00+00:00",
    }
    return json.dumps({**manifest, **changes}).encode()


def add(archive: tarfile.TarFile, name: str, content: bytes = WEIGHTS, **changes: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in changes.items():
        setattr(info, key, value)
    archive.addfile(info, io.BytesIO(content))


class Volume:
    """A volume with neighbours that must stay as they are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.layout = StoreLayout(folder / "a" / "b" / "store")
        self.layout.root.mkdir(parents=True)
        self.bundle = folder / "model.bundle"

    def make(self, manifest: bytes, *entries: Callable[[tarfile.TarFile], None]) -> None:
        with tarfile.open(self.bundle, "w", format=tarfile.GNU_FORMAT) as archive:
            add(archive, MANIFEST_NAME, manifest)
            for write in entries:
                write(archive)

    def refuse(self, said: str) -> None:
        with Progress(self.layout.fetch_progress) as progress, pytest.raises(BundleDamagedError, match=said):
            import_bundle(self.bundle, self.layout, progress)
        outside = {path for path in self.folder.rglob("*") if self.layout.root not in path.parents}
        parents = {self.layout.root, *self.layout.root.parents}
        assert {path for path in outside if path not in parents} == {self.bundle}
        assert [path for path in self.layout.root.rglob("*") if path.is_file()] == []


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path)


def test_an_honest_bundle_is_published(volume: Volume) -> None:
    volume.make(a_manifest(), lambda archive: add(archive, "content/a.bin"))
    with Progress(volume.layout.fetch_progress) as progress:
        manifest = import_bundle(volume.bundle, volume.layout, progress)
    folder = content_folder(volume.layout.manifest("team/ready", "openvino"), manifest)
    assert check_fully(folder, manifest.files).whole


@pytest.mark.parametrize("name", ["../../../../", "../../x", "/tmp/x", "..", "a/b", "", "a\0b"])
@pytest.mark.parametrize("field", ["commit", "variant", "content"])
def test_no_name_of_a_folder_leads_elsewhere(volume: Volume, field: str, name: str) -> None:
    volume.make(a_manifest(**{field: name}), lambda archive: add(archive, "content/a.bin"))
    volume.refuse("a plain name|not inside its folder")


@pytest.mark.parametrize("model", ["", ".", "..", "/", "a\0b"])
def test_no_name_of_a_model_leads_elsewhere(volume: Volume, model: str) -> None:
    volume.make(a_manifest(model=model), lambda archive: add(archive, "content/a.bin"))
    volume.refuse("MODEL_NAME is")


@pytest.mark.parametrize("path", ["../x", "/tmp/x", "a/../../../x", "", ".", "a\0b"])
def test_no_file_of_a_manifest_leads_elsewhere(volume: Volume, path: str) -> None:
    volume.make(a_manifest(files=[entry_of(path)]), lambda archive: add(archive, f"content/{path}".replace("\0", "")))
    volume.refuse("not inside its folder")


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE],
    ids=["symbolic link", "hard link", "character device", "block device", "pipe", "folder"],
)
def test_what_is_no_file_is_refused_under_a_files_name(volume: Volume, kind: bytes) -> None:
    manifest = a_manifest(files=[entry_of("a.bin", b"")])
    volume.make(
        manifest, lambda archive: add(archive, "content/a.bin", b"", type=kind, linkname="/etc/passwd", devmajor=1)
    )
    volume.refuse("which is not what its manifest names")


def test_a_link_before_a_file_of_the_same_name_is_refused(volume: Volume) -> None:
    volume.make(
        a_manifest(),
        lambda archive: add(archive, "content/a.bin", b"", type=tarfile.SYMTYPE, linkname="../../../../../x"),
        lambda archive: add(archive, "content/a.bin"),
    )
    volume.refuse("which is not what its manifest names")


def test_a_file_that_comes_twice_is_refused(volume: Volume) -> None:
    volume.make(a_manifest(), *[lambda archive: add(archive, "content/a.bin")] * 2)
    volume.refuse("which is not what its manifest names")


def test_a_file_below_a_file_is_refused(volume: Volume) -> None:
    manifest = a_manifest(files=[entry_of("a"), entry_of("a/b")])
    volume.make(manifest, lambda archive: add(archive, "content/a"), lambda archive: add(archive, "content/a/b"))
    volume.refuse("below what is a file")


def test_files_that_would_be_larger_than_the_bundle_are_refused_before_anything_is_written(volume: Volume) -> None:
    volume.make(a_manifest(files=[entry_of("a.bin", b"", size_bytes=1 << 40)]))
    volume.refuse("its manifest names 1.1 TB")


def test_a_size_below_zero_does_not_make_room_for_another(volume: Volume) -> None:
    files = [entry_of("a.bin", size_bytes=1 << 40), entry_of("b.bin", size_bytes=-(1 << 40))]
    volume.make(a_manifest(files=files))
    volume.refuse("is not a manifest")


def test_a_sparse_file_is_refused_whatever_it_would_be(volume: Volume) -> None:
    """The old format of GNU tar: the data's one piece of 7,000 bytes lies at the end of a file of a 100,000."""
    size_bytes, piece_at = 100_000, 100_000 - len(WEIGHTS)
    content = bytes(piece_at) + WEIGHTS
    header = bytearray(tarfile.TarInfo("content/a.bin").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"%011o\0" % len(WEIGHTS)
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:410] = b"%011o\0%011o\0" % (piece_at, len(WEIGHTS))
    header[483:495] = b"%011o\0" % size_bytes
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)

    def write(archive: tarfile.TarFile) -> None:
        assert archive.fileobj is not None
        archive.fileobj.write(bytes(header) + WEIGHTS + bytes(-len(WEIGHTS) % 512))
        archive.offset = archive.fileobj.tell()

    def add_padding(archive: tarfile.TarFile) -> None:
        add(archive, "padding", bytes(size_bytes))  # so that the bundle is as long as its manifest says

    volume.make(a_manifest(files=[entry_of("a.bin", content)]), write, add_padding)
    with tarfile.open(volume.bundle) as archive:
        assert archive.getmembers()[1].issparse()
        assert archive.getmembers()[1].size == size_bytes
    volume.refuse("which is not what its manifest names")


def test_a_header_that_says_it_is_gigabytes_long_takes_no_memory(volume: Volume) -> None:
    header = tarfile.TarInfo("name")
    header.type = tarfile.GNUTYPE_LONGNAME
    header.size = 1 << 33
    with volume.bundle.open("wb") as bundle:
        bundle.write(header.tobuf(tarfile.GNU_FORMAT))
        bundle.truncate(1 << 33)
    volume.refuse("cannot be read as a bundle")


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"a": ' * 100_000, b"\xff\xfe", b"null"])
def test_a_manifest_that_no_parser_takes_is_a_sentence(volume: Volume, text: bytes) -> None:
    volume.make(text)
    volume.refuse("is not a manifest")
