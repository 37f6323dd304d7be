"""Lines for logs, a bar for terminals, and a note for whoever waits; paced by a clock that the tests hold."""

import io
import logging
from pathlib import Path

import pytest

from model_fetcher.progress import Progress, human_bytes
from model_store.progress_note import read_note


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_log_gets_a_line_every_five_seconds(tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    progress = Progress(tmp_path / "note", io.StringIO(), clock)
    progress.begin("fetch", "2/7 model.safetensors", 0, 1_200_000_000)
    for second in range(1, 12):
        clock.now_s = 100.0 + second
        progress.advance("fetch", "2/7 model.safetensors", second * 10_000_000, 1_200_000_000)
    assert caplog.messages == [
        "fetch 2/7 model.safetensors: 50.0 MB of 1.2 GB, 10.0 MB/s, 115 s left",
        "fetch 2/7 model.safetensors: 100.0 MB of 1.2 GB, 10.0 MB/s, 110 s left",
    ]


def test_bytes_of_an_earlier_run_do_not_count_towards_the_rate(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    progress = Progress(tmp_path / "note", io.StringIO(), clock)
    progress.begin("fetch", "1/1 a", 900, 1000)
    clock.now_s += 10
    progress.advance("fetch", "1/1 a", 950, 1000)
    assert caplog.messages == ["fetch 1/1 a: 950 B of 1.0 kB, 5 B/s, 10 s left"]


def test_a_terminal_gets_a_bar_that_is_wiped_at_the_end(tmp_path: Path, clock: Clock) -> None:
    terminal = Terminal()
    with Progress(tmp_path / "note", terminal, clock) as progress:
        progress.begin("fetch", "1/1 a", 0, 1000)
        clock.now_s += 1
        progress.advance("fetch", "1/1 a", 500, 1000)
    assert "[############............] 1/1 a 500 B of 1.0 kB, 500 B/s, 1 s left" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[2K")


def test_the_note_says_what_is_happening_and_goes_away(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "note"
    with Progress(path, io.StringIO(), clock) as progress:
        progress.begin("fetch", "1/1 a", 5, 10)
        note = read_note(path)
        assert note is not None
        assert (note.step, note.detail, note.done_bytes, note.total_bytes) == ("fetch", "1/1 a", 5, 10)
    assert read_note(path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_counts_no_bytes_still_shows_that_it_lives(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    progress = Progress(tmp_path / "note", io.StringIO(), clock)
    progress.begin("convert", "starting")
    for second in range(1, 13):
        clock.now_s = 100.0 + second
        progress.beat("convert", "writing openvino-int8")
    assert caplog.messages == ["convert: 5 s, writing openvino-int8", "convert: 10 s, writing openvino-int8"]


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_234_567_890, "1.2 GB"), (5e12, "5.0 TB")]
)
def test_bytes_for_people(count: float, text: str) -> None:
    assert human_bytes(count) == text
