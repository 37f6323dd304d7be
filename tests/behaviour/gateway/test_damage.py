"""A byte that is wrong, anywhere on the volume: it is noticed before anything is loaded, named, and mended in place."""

import os
import random
import shutil
from pathlib import Path

import pytest

from model_store.layout import StoreLayout
from model_store.manifest import content_folder, read_manifest
from tests.support.gateway_process import GatewayProcess, gateway

SEED = 6
VARIANT = "openvino-bf16"


@pytest.fixture
def store(demo_store: Path, tmp_path: Path) -> Path:
    """A volume to damage."""
    shutil.copytree(demo_store, tmp_path / "store")
    return tmp_path / "store"


def _files(store: Path) -> list[Path]:
    path = StoreLayout(store).manifest("demo", VARIANT)
    manifest = read_manifest(path)
    assert manifest is not None
    return [content_folder(path, manifest) / file.path for file in manifest.files]


def _flip(path: Path, draw: random.Random, *, keep_time: bool) -> bytes:
    """Change one byte as a failing disk does, or as whoever writes does; returns what was there."""
    whole, status = path.read_bytes(), path.stat()
    damaged = bytearray(whole)
    damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
    _put(path, bytes(damaged), status.st_mtime_ns if keep_time else None)
    return whole


def _put(path: Path, content: bytes, mtime_ns: int | None = None) -> None:
    """Replace a file in one step, so that nobody who looks meanwhile sees half of it."""
    new = path.parent.parent / "new"
    new.write_bytes(content)
    if mtime_ns is not None:
        os.utime(new, ns=(mtime_ns, mtime_ns))
    new.replace(path)


def _until_it_names(running: GatewayProcess, name: str) -> None:
    while name not in running.wait_for("phase", phase="waiting_for_weights")["detail"]:
        pass


@pytest.mark.parametrize(
    ("settings", "keep_time"),
    [({}, False), ({"VERIFY": "full"}, True)],
    ids=["written to", "rotten in place, with VERIFY=full"],
)
def test_one_wrong_byte_in_any_file_is_noticed_before_anything_is_loaded(
    store: Path, settings: dict[str, str], keep_time: bool
) -> None:
    """One gateway finds them all: as one file is mended, the next is damaged already."""
    draw, files = random.Random(SEED), _files(store)
    assert len(files) > 5
    whole = _flip(files[0], draw, keep_time=keep_time)
    with gateway(store, ENGINE="fake", **settings) as running:
        for damaged, following in zip(files, [*files[1:], None], strict=True):
            _until_it_names(running, damaged.name)
            assert running.client.get("/readyz").status_code == 503
            assert "python -m model_fetcher" in running.client.get("/health").json()["detail"]
            mended, whole = whole, _flip(following, draw, keep_time=keep_time) if following else b""
            _put(damaged, mended)
        running.wait_until_ready()
        phases = [line["phase"] for line in running.log if line["event"] == "phase"]
        assert phases.count("waiting_for_weights") == len(files)
        assert phases[-3:] == ["loading", "warming_up", "ready"]


def test_a_byte_that_rots_in_place_is_what_only_a_full_check_can_find(store: Path) -> None:
    weights = next(path for path in _files(store) if path.name == "openvino_model.bin")
    _flip(weights, random.Random(SEED), keep_time=True)
    with gateway(store, ENGINE="fake", VERIFY="quick") as running:
        running.wait_until_ready()
    with gateway(store, ENGINE="fake", VERIFY="full") as running:
        _until_it_names(running, weights.name)


@pytest.mark.parametrize("damage", ["cut", "a wrong digit", "empty", "of another program"])
def test_a_damaged_manifest_is_waited_for_with_a_sentence_and_taken_when_it_is_whole(store: Path, damage: str) -> None:
    path = StoreLayout(store).manifest("demo", VARIANT)
    whole = path.read_bytes()
    digit = whole.index(b'"context_tokens": ') + len(b'"context_tokens": ')
    path.write_bytes(
        {
            "cut": whole[: len(whole) // 2],
            "a wrong digit": whole[:digit] + b"9" + whole[digit + 1 :],
            "empty": b"",
            "of another program": b'{"schemaVersion": 2, "layers": []}',
        }[damage]
    )
    with gateway(store, ENGINE="fake") as running:
        said = running.wait_for("waiting_for_weights")["detail"]
        assert str(path) in said
        assert "run the fetcher again" in said
        assert running.generate("Anything?").status_code == 503
        _put(path, whole)
        running.wait_until_ready()
        assert "Traceback" not in running.log_text()
