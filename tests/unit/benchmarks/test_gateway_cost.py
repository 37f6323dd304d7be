"""The benchmark of the gateway's own cost counts what it says it counts."""

import os
import time

import pytest

from benchmarks.gateway.chunked import content
from benchmarks.gateway.dialects import DIALECTS, AnswerError, Whole
from benchmarks.gateway.flame import own_shares
from benchmarks.gateway.growth import Level, growth_per_1000, slope
from benchmarks.gateway.process import Measured
from benchmarks.gateway.report import Report
from benchmarks.gateway.starts import Start
from benchmarks.gateway.streams import FRONT_DOOR, UNLIMITED, Cell, Row, Turn
from benchmarks.gateway_cost import cells_of

WHOLE = Whole(tokens=2, text_bytes=8)
COMPLETE = {
    "openai": b'data: {"choices":[]}\n\ndata: {"usage":{"completion_tokens":2}}\n\ndata: [DONE]\n\n',
    "native": b"the port",
    "tgi": b'data:{"index":1,"generated_text":null}\n\n'
    b'data:{"index":2,"generated_text":"the port","details":{"generated_tokens":2}}\n\n',
    "ollama": b'{"done":false}\n{"done":true,"eval_count":2}\n',
}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_whole_answer_has_the_number_of_tokens_that_was_asked_for(name: str) -> None:
    assert DIALECTS[name].count_tokens(COMPLETE[name], WHOLE) == 2


@pytest.mark.parametrize("name", DIALECTS)
def test_an_answer_without_its_end_is_no_result(name: str) -> None:
    cut = COMPLETE[name][:-6]

    with pytest.raises(AnswerError):
        DIALECTS[name].count_tokens(cut, WHOLE)


def test_chunks_are_joined_and_counted() -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

    assert content(head + b"3\r\nthe\r\n5\r\n port\r\n0\r\n\r\n") == (b"the port", 2)


def test_a_refusal_is_no_result() -> None:
    with pytest.raises(AnswerError, match="429"):
        content(b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 2\r\n\r\n{}")


def test_the_slope_is_that_of_the_nearest_line() -> None:
    assert slope([(0, 1), (1, 3), (2, 5)]) == pytest.approx(2)
    assert slope([(0, 1), (1, 3), (2, 1)]) == pytest.approx(0)
    assert slope([(5, 1)]) == 0


def test_growth_is_read_from_the_second_half() -> None:
    rss = [50.0, 80.0, 90.0, 90.5]
    levels = [Level(1000 * number, mb, 3, 9, 0) for number, mb in enumerate(rss)]

    assert growth_per_1000(levels) == pytest.approx(0.5)


def test_waiting_is_no_part_of_the_profile() -> None:
    stacks = [
        "main;Runner.run (asyncio/runners.py:86) 70",
        "main;send (uvicorn/http.py:4) 20",
        "main;push (stream/text.py:9) 6",
        "main;flush;push (stream/text.py:9) 4",
    ]

    assert own_shares(stacks) == [("send (uvicorn/http.py)", 20 / 30), ("push (stream/text.py)", 10 / 30)]


def test_every_combination_is_a_cell_and_checkouts_stand_side_by_side() -> None:
    cells = cells_of([50, UNLIMITED], [64], ["openai"], ["gateway", "before"])

    assert [(cell.pace, cell.of) for cell in cells] == [
        (50, "gateway"),
        (50, "before"),
        (UNLIMITED, "gateway"),
        (UNLIMITED, "before"),
        (50, FRONT_DOOR),
    ]


def test_the_table_has_medians_ratios_and_what_falls_short() -> None:
    ours = Row(Cell(50, 64, "openai"), [_turn(30), _turn(50), _turn(45)])
    theirs = Row(Cell(50, 64, "openai", "before"), [_turn(90)])
    report = Report({"date": "today"}, [ours, theirs], Start(bound_s=0.5, ready_s=0.7, starts=5))

    text = report.text()

    assert "| 50/s | 64 | openai | gateway | 45.0 | 30.0 to 50.0 |" in text
    assert "0.50 of the time of before" in text
    assert "FALLS SHORT: 45.0 µs" in text
    assert "pass: 0.5 s to the bound port" in text


def test_the_rate_of_the_target_is_looked_for_only_where_it_was_asked_for() -> None:
    rows = [
        Row(Cell(pace, streams, "openai"), [_turn(30)]) for pace, streams in ((50, 64), (100, 256), (UNLIMITED, 64))
    ]

    verdicts = "\n".join(Report({}, rows).verdicts())

    assert "256 streams at 100/s" in verdicts
    assert "64 streams at no limit" not in verdicts
    assert "64 streams at 50/s" not in verdicts


def test_processor_time_of_another_process_is_read_from_its_clock() -> None:
    class Myself:
        pid = os.getpid()

    before = time.process_time()
    read = Measured.cpu_s(Myself())  # type: ignore[arg-type]
    assert before <= read <= time.process_time()


def _turn(own_us: float) -> Turn:
    return Turn(own_us, worker_us=3, load_us=25, tokens_per_s=3000, tokens_per_frame=1)
