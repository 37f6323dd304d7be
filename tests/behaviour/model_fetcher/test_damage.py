"""A wrong byte in any file of a published model is found and mended alone; a damaged manifest costs no download."""

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.behaviour.model_fetcher.conftest import (
    COPYING_CONVERTER,
    Fetcher,
    Outcome,
    inodes,
    ready_made,
    run_with_converter,
)
from tests.hub import Hub
from tests.support.volumes import published, strays

BIG = "openvino_model.bin"
SEED = 6


def _flip(path: Path, draw: random.Random, *, keep_time: bool) -> None:
    """Change one bit anywhere; with its old time it is what a failing disk leaves."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)
    if keep_time:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    ("settings", "keep_time"), [({}, False), ({"VERIFY": "full"}, True)], ids=["written to", "rotten in place"]
)
def test_one_wrong_byte_in_any_fetched_file_is_found_and_that_file_alone_fetched_again(
    fetcher: Fetcher, hub: Hub, settings: dict[str, str], keep_time: bool
) -> None:
    hub.add(ready_made())
    assert fetcher.run().exit_code == 0
    whole, content, draw = published(fetcher.store), fetcher.content("openvino"), random.Random(SEED)
    for file in fetcher.manifest("openvino").files:
        hub.requests.clear()
        _flip(content / file.path, draw, keep_time=keep_time)
        assert fetcher.run("verify").exit_code == 18
        outcome = fetcher.run(**settings)
        assert outcome.exit_code == 0, outcome.output
        assert f"{file.path} is missing or damaged" in outcome.output
        assert {request.file for request in hub.requests} == {file.path}
        assert published(fetcher.store) == whole
        assert strays(fetcher.store) == set()


def test_one_wrong_byte_in_any_converted_file_is_found_and_that_file_alone_made_again(
    converted: Fetcher, tmp_path: Path
) -> None:
    shutil.copytree(converted.store, tmp_path / "store")
    copy = Fetcher(tmp_path / "store", tmp_path, {**converted.settings, "HF_ENDPOINT": "http://127.0.0.1:1"})
    code = COPYING_CONVERTER.format(manifest=str(converted.layout.manifest("team/demo", "openvino-int8")))
    whole, content, draw = published(copy.store), copy.content("openvino-int8"), random.Random(SEED)
    for file in copy.manifest("openvino-int8").files:
        before = inodes(content)
        _flip(content / file.path, draw, keep_time=False)
        outcome = run_with_converter(copy, tmp_path, code)
        assert outcome.exit_code == 0, outcome.output
        assert f"repair: {file.path} is whole again; nothing else was touched" in outcome.output
        assert {name for name, inode in inodes(content).items() if before[name] != inode} == {file.path}
        assert published(copy.store) == whole
        assert strays(copy.store) == set()


@pytest.mark.parametrize("length", [0, 1, 700, -2], ids=lambda length: f"cut at {length}")
def test_a_manifest_that_was_cut_is_written_again_and_nothing_is_fetched_a_second_time(
    fetcher: Fetcher, hub: Hub, length: int
) -> None:
    hub.add(ready_made())
    assert fetcher.run().exit_code == 0
    whole, path = published(fetcher.store), fetcher.layout.manifest("team/ready", "openvino")
    path.write_bytes(path.read_bytes()[:length])
    hub.requests.clear()
    outcome = fetcher.run()
    assert outcome.exit_code == 0, outcome.output
    assert "run the fetcher again" in outcome.output
    assert published(fetcher.store) == whole
    assert strays(fetcher.store) == set()
    assert hub.requests_for(BIG) == []


def test_a_manifest_with_a_wrong_digit_is_not_believed(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(ready_made())
    assert fetcher.run().exit_code == 0
    path = fetcher.layout.manifest("team/ready", "openvino")
    path.write_text(path.read_text().replace('"context_tokens": 512', '"context_tokens": 513'), encoding="utf-8")
    outcome = fetcher.run()
    assert outcome.exit_code == 0, outcome.output
    assert "was altered after it was written" in outcome.output
    assert fetcher.manifest("openvino").shape.context_tokens == 512


@pytest.fixture
def read_only(fetcher: Fetcher, hub: Hub, tmp_path: Path) -> Iterator[Fetcher]:
    """A volume with a published model and a leftover of a writer that was killed, mounted so that nobody can write."""
    hub.add(ready_made())
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    fetcher.store = folder / "store"
    assert fetcher.run().exit_code == 0
    fetcher.layout.fetch_progress.write_text("{}", encoding="utf-8")
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    hub.requests.clear()
    yield fetcher
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_published_model_on_a_read_only_volume_is_as_good_as_on_any_other(read_only: Fetcher, hub: Hub) -> None:
    for settings in ({}, {"VERIFY": "full"}):
        outcome = read_only.run(**settings)
        assert outcome.exit_code == 0, outcome.output
        assert "ready: team/ready as openvino" in outcome.output
    assert read_only.run("verify").exit_code == 0
    assert hub.requests == []


@pytest.mark.parametrize("asked", [{"MODEL_NAME": "team/other"}, {"MODEL_NAME": "demo"}], ids=["hub", "conversion"])
def test_what_needs_a_volume_that_can_be_written_says_so_before_it_fetches_anything(
    read_only: Fetcher, hub: Hub, asked: dict[str, str]
) -> None:
    hub.add(ready_made("team/other"))
    _says_that_it_is_read_only(read_only.run(**asked))
    _says_that_it_is_read_only(read_only.run("remove", "team/ready"))
    assert hub.requests_for(BIG) == []
    assert len(published(read_only.store)) == 4


def _says_that_it_is_read_only(outcome: Outcome) -> None:
    assert outcome.exit_code == 16
    assert "is mounted read-only" in outcome.error
