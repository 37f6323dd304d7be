"""The engine's measurements: what counts as a token, a gap and a first token, and what the tables say of it."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.engine.against_http import Turn
from benchmarks.engine.drivers import Gain
from benchmarks.engine.http_report import report as http_report
from benchmarks.engine.studies import STUDIES
from benchmarks.engine.tables import percentile, spread
from benchmarks.engine.workloads import answer, while_prompts_arrive
from benchmarks.memory_bandwidth import read_bandwidth_gb_s
from benchmarks.profile_numbers import Line, kept, report
from benchmarks.start_up import Start
from benchmarks.start_up import verdict as start_up_verdict
from profiles import read_profile


class OneTokenEach:
    """Gives each sequence one token a step."""

    def __init__(self) -> None:
        self._left: dict[int, int] = {}
        self._next = 0
        self.most_at_once = 0
        self.cancelled: list[int] = []

    def begin(self, prompt: Sequence[int], output_tokens: int) -> int:  # noqa: ARG002  as engines have it
        self._next += 1
        self._left[self._next] = output_tokens
        return self._next

    def step(self) -> list[Gain]:
        self.most_at_once = max(self.most_at_once, len(self._left))
        self._left = {sequence: left - 1 for sequence, left in self._left.items()}
        gains = [Gain(sequence, 1, left == 0) for sequence, left in self._left.items()]
        self._left = {sequence: left for sequence, left in self._left.items() if left}
        return gains

    def has_work(self) -> bool:
        return bool(self._left)

    def cancel(self, sequence: int) -> None:
        self.cancelled.append(sequence)
        del self._left[sequence]


class OneTokenTooFew(OneTokenEach):
    """Ends every sequence one token early."""

    def begin(self, prompt: Sequence[int], output_tokens: int) -> int:
        return super().begin(prompt, output_tokens - 1)


def test_every_prompt_has_a_first_token_and_a_gap_before_each_further_one() -> None:
    answered = answer(OneTokenEach(), [[1], [2], [3]], 4, streams=2)
    assert (answered.output_tokens, len(answered.first_token_s), len(answered.gaps_s)) == (12, 3, 9)


def test_no_more_sequences_run_at_once_than_there_are_streams() -> None:
    driver = OneTokenEach()
    answer(driver, [[number] for number in range(10)], 3, streams=4)
    assert driver.most_at_once == 4


def test_an_answer_of_another_length_is_no_result() -> None:
    with pytest.raises(RuntimeError, match="there were 3 tokens, expected 4"):
        answer(OneTokenTooFew(), [[1]], 4, streams=1)


def test_only_gaps_of_the_running_sequences_count_while_prompts_arrive() -> None:
    driver = OneTokenEach()
    during, arrived = while_prompts_arrive(driver, [[1], [2]], [[3], [4], [5]], longest=10)
    assert (len(during.gaps_s), len(during.first_token_s)) == (6, 0)
    assert (len(arrived.gaps_s), len(arrived.first_token_s)) == (0, 3)
    assert driver.cancelled == [1, 2]


def test_running_sequences_that_end_before_the_last_arrival_are_no_result() -> None:
    with pytest.raises(RuntimeError, match="too early"):
        while_prompts_arrive(OneTokenEach(), [[1]], [[2], [3]], longest=2)


def test_a_cell_is_the_median_with_the_least_and_the_most() -> None:
    assert spread([1.0, 100.4, 12.34]) == "12.3 (1.00 to 100)"


def test_a_single_measurement_has_no_spread() -> None:
    assert spread([1234.5]) == "1234"


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([5.0, 1.0, 3.0, 2.0, 4.0], 0.99) == 5.0


def test_the_table_has_a_row_for_each_value_with_the_median_of_its_rounds() -> None:
    lines = [_line("256", 300.0), _line("512", 600.0), _line("256", 320.0), _line("256", 310.0)]
    assert "| value | first token, ms |" in report(lines)
    assert "| 256 | 310 (300 to 320) |\n| 512 | 600 |" in report(lines)


def test_a_value_that_the_engine_refuses_says_so_in_its_row() -> None:
    refused: Line = {"setting": "S", "profile": "P", "value": "9", "failure": "no such precision", "figures": {}}
    assert "| 9 | failed: no such precision |" in report([_line("256", 300.0), refused])


def test_rounds_of_an_earlier_run_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "rounds.jsonl"
    path.write_text(json.dumps(_line("256", 300.0)) + "\n", encoding="utf-8")
    assert kept(path) == [_line("256", 300.0)]
    assert kept(tmp_path / "other.jsonl") == []


def test_each_profile_number_that_a_cpu_takes_has_a_study() -> None:
    assert set(read_profile("cpu_optimized")) <= set(STUDIES)


def test_each_profile_number_is_among_the_values_that_are_measured() -> None:
    for profile in ("cpu_optimized", "vm_optimized"):
        for name, number in read_profile(profile).items():
            labels = {value.label.lower().removesuffix(" streams") for value in STUDIES[name].values}
            assert number == "auto" or number in labels, f"{name}={number} of {profile} is not measured"


def test_a_gateway_that_costs_too_much_falls_short() -> None:
    table = http_report([_turn(raw=200.0, http=180.0, later_ms=3.0)])
    assert "FALLS SHORT, 0.900 of the raw engine's tokens per second" in table
    assert "0.950 with the plain client (promised 0.95); pass, +3.0 ms" in table


def test_a_gateway_within_its_cost_passes() -> None:
    table = http_report([_turn(raw=200.0, http=196.0, later_ms=7.0)])
    assert "pass, 0.980" in table
    assert "FALLS SHORT, +7.0 ms" in table


def test_a_start_is_compared_by_the_median_of_the_ratios() -> None:
    starts = [Start(3.0, 1.0, 2.0, 1.0, 1.0), Start(9.0, 1.0, 3.0, 1.0, 1.0), Start(2.8, 1.0, 2.0, 1.0, 1.0)]
    assert start_up_verdict("cpu_optimized", starts).startswith("- cpu_optimized: pass, 1.50 times")


def test_memory_is_read_at_some_speed() -> None:
    assert read_bandwidth_gb_s(threads=1, passes=1, bytes_per_thread=1 << 20) > 0


def _line(value: str, milliseconds: float) -> Line:
    return {"setting": "S", "profile": "P", "value": value, "figures": {"first token, ms": milliseconds}}


def _turn(raw: float, http: float, later_ms: float) -> Turn:
    return Turn(
        profile="cpu_optimized",
        raw_tokens_per_s=raw,
        http_tokens_per_s=http,
        raw_first_token_ms=300.0,
        plain_tokens_per_s=http + 10,
        plain_first_token_ms=300.0 + later_ms,
        http_first_token_ms=310.0 + later_ms,
        seconds=10.0,
        generator_cpu_s=5.0,
        gateway_cpu_s=0.1,
        worker_cpu_s=18.0,
        raw_cpu_s=19.0,
        others_share=0.01,
    )
