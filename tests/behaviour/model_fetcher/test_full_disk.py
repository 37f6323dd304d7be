"""A disk that fills up at each step: one sentence, nothing half, and as soon as there is room again all goes on."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.behaviour.model_fetcher.conftest import COPYING_CONVERTER, Fetcher, Outcome, ready_made, run_with_converter
from tests.hub import Hub
from tests.support.moments import Moments
from tests.support.volumes import published, strays

DISK = "size=96m"
DISK_FULL = 15


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of its own, with room for the volume and for nothing else."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", DISK, "tmpfs", folder], check=False, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


class Steps:
    """Runs of one fetcher on a disk: first undisturbed, then again and again with the disk full from a step on."""

    def __init__(self, fetcher: Fetcher, disk: Path, traces: Path) -> None:
        self.fetcher, self.disk, self._traces = fetcher, disk, traces
        self.filler = disk / "filler"
        self.fetcher.store = disk / "undisturbed"

    def watched(self) -> Moments:
        return Moments(self.fetcher.store, self._traces / "undisturbed")

    def full_from(self, moment: int) -> Moments:
        """The next volume, and a disk without a byte left from this moment on."""
        self.fetcher.store = self.disk / f"store-{moment}"
        return Moments(self.fetcher.store, self._traces / f"{moment}", at=moment, filler=self.filler)

    def judge(self, full: Outcome, moment: int, whole: dict[str, str]) -> bool:
        """Check what a run on a full disk has left; returns whether it failed. Then there is room again."""
        assert full.exit_code in {0, DISK_FULL}, f"moment {moment}: {full.output}"
        if full.exit_code == DISK_FULL:
            assert "the disk" in full.error or "free" in full.error, f"moment {moment}: {full.output}"
        assert published(self.fetcher.store) in ({}, whole), f"moment {moment}"
        assert (published(self.fetcher.store) == whole) or full.exit_code == DISK_FULL, f"moment {moment}"
        self.filler.unlink(missing_ok=True)
        return full.exit_code == DISK_FULL

    def judge_next(self, again: Outcome, moment: int, whole: dict[str, str]) -> None:
        assert again.exit_code == 0, f"moment {moment}: {again.output}"
        assert published(self.fetcher.store) == whole, f"moment {moment}"
        assert strays(self.fetcher.store) == set(), f"moment {moment}"
        subprocess.run(["rm", "-r", self.fetcher.store], check=True)


def test_a_disk_that_is_full_from_any_step_of_a_download_on_loses_nothing(
    fetcher: Fetcher, hub: Hub, disk: Path, tmp_path: Path
) -> None:
    hub.add(ready_made())
    steps = Steps(fetcher, disk, tmp_path)
    watched = steps.watched()
    assert fetcher.run(**watched.environment).exit_code == 0
    whole, failed = published(fetcher.store), 0
    for moment in watched.steps():
        full = fetcher.run(**steps.full_from(moment).environment)
        failed += steps.judge(full, moment, whole)
        steps.judge_next(fetcher.run(), moment, whole)
    assert failed >= 5, "the disk was full, and hardly anybody noticed"


def test_a_disk_that_is_full_from_any_step_of_a_conversion_on_loses_nothing(
    fetcher: Fetcher, converted: Fetcher, disk: Path, tmp_path: Path
) -> None:
    code = COPYING_CONVERTER.format(manifest=str(converted.layout.manifest("team/demo", "openvino-int8")))
    steps = Steps(fetcher, disk, tmp_path)
    settings = {"MODEL_NAME": "demo", "QUANTIZATION": "int8"}
    watched = steps.watched()
    assert run_with_converter(fetcher, tmp_path, code, **settings, **watched.environment).exit_code == 0
    whole = published(fetcher.store)
    for moment in watched.steps():
        moments = steps.full_from(moment)
        full = run_with_converter(fetcher, tmp_path, code, **settings, **moments.environment)
        steps.judge(full, moment, whole)
        steps.judge_next(run_with_converter(fetcher, tmp_path, code, **settings), moment, whole)


def test_a_real_conversion_on_a_disk_that_fills_up_says_so_and_leaves_nothing(
    fetcher: Fetcher, disk: Path, tmp_path: Path
) -> None:
    steps = Steps(fetcher, disk, tmp_path)
    fetcher.settings = {"MODEL_NAME": "demo", "QUANTIZATION": "int8"}
    first_line_of_the_content = 1 + next(
        number
        for number, line in enumerate(_undisturbed(steps))
        if line.startswith("os.mkdir /models/demo/openvino-int8/")
    )
    full = fetcher.run(**steps.full_from(first_line_of_the_content + 1).environment)
    assert full.exit_code == DISK_FULL, full.output
    assert "disk" in full.error
    assert published(fetcher.store) == {}
    assert strays(fetcher.store) == set()


def _undisturbed(steps: Steps) -> list[str]:
    watched = steps.watched()
    outcome = steps.fetcher.run(**watched.environment)
    assert outcome.exit_code == 0, outcome.output
    return watched.seen()


def test_on_a_disk_without_a_byte_left_a_model_can_be_listed_exported_elsewhere_and_removed(
    fetcher: Fetcher, hub: Hub, disk: Path, tmp_path: Path
) -> None:
    hub.add(ready_made())
    fetcher.store = disk / "store"
    assert fetcher.run().exit_code == 0
    fetcher.layout.lock.unlink()
    with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))
    assert fetcher.run().exit_code == 0, "what is published is used without a byte being written"
    for command in (["list"], ["verify"], ["export", str(tmp_path / "model.bundle")], ["remove", "team/ready"]):
        outcome = fetcher.run(*command)
        assert outcome.exit_code == 0, f"{command}: {outcome.output}"
    assert published(fetcher.store) == {}
