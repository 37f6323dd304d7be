"""kill -9 at moments that nobody chose: what is published is whole, and the next run leaves no trace of it."""

import os
import random
import signal
from pathlib import Path

from tests.behaviour.model_fetcher.conftest import (
    COPYING_CONVERTER,
    LARGE_BYTES,
    Fetcher,
    Outcome,
    ready_made,
    run_with_converter,
    start_with_converter,
)
from tests.hub import Hub, Stall
from tests.support.moments import Moments
from tests.support.volumes import published, strays

BIG = "openvino_model.bin"
PATIENCE_S = 60
NUM_MOMENTS = 20
NUM_REAL_CONVERSIONS = NUM_MOMENTS if os.environ.get("EVERY_MOMENT") else 2
"""Each takes half a minute: `make faults` takes all of them, `make test` two."""
KILLED = -signal.SIGKILL
LATE = 2
"""Progress is noted by the clock, so a quicker run has a few moments less, and the last of them may not come."""
SEED = 20


def _moments_of(fetcher: Fetcher, trace: Path) -> int:
    """Let a run go on undisturbed; returns how many moments it had."""
    watched = Moments(fetcher.store, trace)
    outcome = fetcher.run(**watched.environment)
    assert outcome.exit_code == 0, outcome.output
    return len(watched.seen())


def _anew(fetcher: Fetcher, folder: Path) -> Fetcher:
    """The same fetcher with an empty volume."""
    return Fetcher(folder / "store", folder, fetcher.settings)


def test_twenty_kills_during_a_download_lose_nothing(fetcher: Fetcher, hub: Hub, tmp_path: Path) -> None:
    hub.add(ready_made())
    num_moments = _moments_of(fetcher, tmp_path / "trace")
    whole, asked, kills = published(fetcher.store), len(hub.requests), 0
    assert num_moments >= NUM_MOMENTS
    for moment in random.Random(SEED).sample(range(1, num_moments + 1), NUM_MOMENTS):
        killed = _anew(fetcher, tmp_path / f"killed-{moment}")
        outcome = killed.run(**Moments(killed.store, tmp_path / f"trace-{moment}", at=moment).environment)
        assert outcome.exit_code in {KILLED, 0}, f"moment {moment}: {outcome.output}"
        kills += outcome.exit_code == KILLED
        assert published(killed.store) in ({}, whole), f"moment {moment}"
        again = killed.run()
        assert again.exit_code == 0, f"moment {moment}: {again.output}"
        assert published(killed.store) == whole, f"moment {moment}"
        assert strays(killed.store) == set(), f"moment {moment}"
    assert kills >= NUM_MOMENTS - LATE
    sent_bytes = sum(request.body_bytes for request in hub.requests[asked:] if request.file == BIG)
    assert sent_bytes < (NUM_MOMENTS + 1) * LARGE_BYTES, "in all twenty together, not even one file was fetched again"


def test_a_download_that_is_killed_anywhere_in_a_file_goes_on_from_there(
    fetcher: Fetcher, hub: Hub, tmp_path: Path
) -> None:
    repository = hub.add(ready_made())
    for after_bytes in random.Random(SEED).sample(range(LARGE_BYTES), 5):
        killed = _anew(fetcher, tmp_path / f"killed-{after_bytes}")
        stall = Stall(after_bytes)
        hub.fail(BIG, stall)
        with killed.start(STALL_TIMEOUT_S="60") as process:
            assert stall.reached.wait(PATIENCE_S)
            process.kill()
        assert published(killed.store) == {}
        again = killed.run()
        assert again.exit_code == 0, again.output
        assert (killed.content("openvino") / BIG).read_bytes() == repository.files[BIG]
        assert strays(killed.store) == set()


def test_twenty_kills_during_the_steps_of_a_conversion_lose_nothing(
    fetcher: Fetcher, converted: Fetcher, tmp_path: Path
) -> None:
    code = COPYING_CONVERTER.format(manifest=str(converted.layout.manifest("team/demo", "openvino-int8")))
    settings = {"MODEL_NAME": "demo", "QUANTIZATION": "int8"}

    def run(on: Fetcher, moments: Moments | None = None) -> Outcome:
        return run_with_converter(on, tmp_path, code, **settings, **(moments.environment if moments else {}))

    watched = Moments(fetcher.store, tmp_path / "trace")
    assert run(fetcher, watched).exit_code == 0
    whole, num_moments, kills = published(fetcher.store), len(watched.seen()), 0
    assert num_moments >= NUM_MOMENTS
    for moment in random.Random(SEED).sample(range(1, num_moments + 1), NUM_MOMENTS):
        killed = _anew(fetcher, tmp_path / f"killed-{moment}")
        outcome = run(killed, Moments(killed.store, tmp_path / f"trace-{moment}", at=moment))
        assert outcome.exit_code in {KILLED, 0}, f"moment {moment}: {outcome.output}"
        kills += outcome.exit_code == KILLED
        assert published(killed.store) in ({}, whole), f"moment {moment}"
        again = run(killed)
        assert again.exit_code == 0, f"moment {moment}: {again.output}"
        assert published(killed.store) == whole, f"moment {moment}"
        assert strays(killed.store) == set(), f"moment {moment}"
    assert kills >= NUM_MOMENTS - LATE


def test_kills_during_a_real_conversion_lose_nothing(fetcher: Fetcher, tmp_path: Path) -> None:
    fetcher.settings = {"MODEL_NAME": "demo", "QUANTIZATION": "int8"}
    num_moments = _moments_of(fetcher, tmp_path / "trace")
    whole = _weights_and_words(fetcher)
    for moment in random.Random(SEED).sample(range(1, num_moments + 1), NUM_REAL_CONVERSIONS):
        killed = _anew(fetcher, tmp_path / f"killed-{moment}")
        outcome = killed.run(**Moments(killed.store, tmp_path / f"trace-{moment}", at=moment).environment)
        assert outcome.exit_code in {KILLED, 0}, f"moment {moment}: {outcome.output}"
        assert _weights_and_words(killed) in ({}, whole), f"moment {moment}"
        again = killed.run()
        assert again.exit_code == 0, f"moment {moment}: {again.output}"
        assert _weights_and_words(killed) == whole, f"moment {moment}"
        assert strays(killed.store) == set(), f"moment {moment}"


def _weights_and_words(fetcher: Fetcher) -> dict[str, str]:
    """What is published, without the graphs, in which the exporter notes where it found the originals."""
    return {name: digest for name, digest in published(fetcher.store).items() if not name.endswith(".xml")}


def test_a_fetcher_that_waits_takes_over_from_one_that_was_killed(fetcher: Fetcher, hub: Hub) -> None:
    repository = hub.add(ready_made())
    stall = Stall(after_bytes=LARGE_BYTES // 2)
    hub.fail(BIG, stall)
    with fetcher.start(STALL_TIMEOUT_S="60") as first:
        assert stall.reached.wait(PATIENCE_S)
        with fetcher.start() as second:
            assert second.stdout is not None
            assert "lock: waiting for another fetcher" in second.stdout.readline()
            first.kill()
            output, _ = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 0, output
    assert (fetcher.content("openvino") / BIG).read_bytes() == repository.files[BIG]
    assert strays(fetcher.store) == set()
    began, went_on = hub.requests_for(BIG)
    assert (began.start, went_on.start > 0) == (0, True)


def test_of_five_fetchers_at_once_one_works_and_all_succeed(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(ready_made())
    processes = [fetcher.start() for _ in range(5)]
    for process in processes:
        with process:
            output, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, output
    assert len(hub.requests_for(BIG)) == 1
    assert strays(fetcher.store) == set()


STUBBORN_CONVERTER = """
import sys
import msgspec
from model_fetcher.converters.messages import Step

sys.stdin.buffer.readline()
sys.stdout.buffer.write(msgspec.json.encode(Step(doing="what takes long")) + b"\\n")
sys.stdout.buffer.flush()
open({gate!r}).read()
"""
"""Does not notice that its fetcher has died, as native code that holds Python's lock does not for a while."""


def test_a_converter_that_outlives_its_fetcher_for_a_moment_is_waited_for(fetcher: Fetcher, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    fetcher.settings = {"MODEL_NAME": "demo"}
    with start_with_converter(fetcher, tmp_path, STUBBORN_CONVERTER.format(gate=str(gate)), LOG_LEVEL="debug") as first:
        assert first.stdout is not None
        assert any("what takes long" in line for line in first.stdout)
        first.kill()
    with fetcher.start() as second:
        assert second.stdout is not None
        assert "lock: waiting for another fetcher" in second.stdout.readline()
        gate.write_text("")
        assert any(line.startswith("sweep: models/demo/openvino-bf16/") for line in second.stdout)
        second.terminate()
        second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 130
