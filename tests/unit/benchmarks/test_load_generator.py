"""What the load generator wrote is read back strictly: a comparison counts the same tokens for everyone, or nothing."""

import json
from pathlib import Path

import pytest

from benchmarks.load_generator import Answer, Load, LoadFailedError, read_answers
from benchmarks.prompts import Prompt

PROMPT = Prompt([1, 2, 3], "a b c")
SECOND_NS = 1_000_000_000


def record(start_s: float, *, prompt_tokens: int = 3, output_tokens: int = 2, **other: object) -> str:
    metrics = {
        "time_to_first_token": {"value": 100.0},
        "inter_chunk_latency": {"value": [50.0]},
        "usage_prompt_tokens": {"value": prompt_tokens},
        "usage_completion_tokens": {"value": output_tokens},
    }
    times = {"request_start_ns": int(start_s * SECOND_NS), "request_end_ns": int((start_s + 1) * SECOND_NS)}
    return json.dumps({"metadata": times, "metrics": metrics} | other)


def read(folder: Path, *lines: str, requests: int) -> list[Answer]:
    records = folder / "profile_export.jsonl"
    records.write_text("\n".join(lines), encoding="utf-8")
    return read_answers(records, Load([PROMPT] * requests, streams=1, output_tokens=2))


def test_answers_are_in_the_order_in_which_they_were_begun(tmp_path: Path) -> None:
    answers = read(tmp_path, record(5), record(3), requests=2)
    assert [answer.begun_s for answer in answers] == [3, 5]


def test_an_answer_of_another_length_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(LoadFailedError, match="3 tokens of prompt and 1 of answer, expected 3 and 2"):
        read(tmp_path, record(0, output_tokens=1), requests=1)


def test_a_prompt_that_the_server_counts_otherwise_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(LoadFailedError, match="4 tokens of prompt"):
        read(tmp_path, record(0, prompt_tokens=4), requests=1)


def test_a_failed_request_says_what_the_server_said(tmp_path: Path) -> None:
    with pytest.raises(LoadFailedError, match=r"1 of 2 requests were answered; the first: .*connection reset"):
        read(tmp_path, record(0), record(1, error={"message": "connection reset"}), requests=2)


def test_a_missing_answer_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(LoadFailedError, match="1 of 2 requests were answered"):
        read(tmp_path, record(0), requests=2)


def test_only_gaps_that_begin_within_the_time_are_counted() -> None:
    answer = Answer(begun_s=10, ended_s=14, ttft_ms=1000, gaps_ms=[1000, 500, 1500], output_tokens=4)
    assert answer.gaps_within(11.5, 13) == [500, 1500]
    assert answer.gaps_within(0, 5) == []
