"""The report of the comparison of servers: what is paired with what, which way a ratio points, what is said of it."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from benchmarks.servers.cells import CELLS
from benchmarks.servers.figures import against_best_peer, bandwidth_share, ratio
from benchmarks.servers.generator_table import generator_table
from benchmarks.servers.report import markdown
from benchmarks.servers.results import Contender, Failure, Machine, Measurement, Results, load, save
from benchmarks.servers.verdicts import PROMISES, Verdict, lines, verdicts

_CELL = {cell.key: cell for cell in CELLS}
_PREHEAT, _LLAMA, _VLLM = "preheat-bf16", "llama-server-bf16", "vllm"

_Figures = Mapping[tuple[str, str], list[float]]


def _contender(key: str, **changes: object) -> Contender:
    own = Contender(
        key=key,
        name=key.removesuffix("-bf16"),
        precision="bf16",
        precision_class="16 bits",
        version="1.0",
        command=f"{key} --threads 2",
        notes="",
        weight_bytes=1_000_000_000,
    )
    return msgspec.structs.replace(own, **changes)


def _measurement(contender: str, cell: str, value: float, number: int = 1) -> Measurement:
    return Measurement(round=number, contender=contender, cell=cell, value=value, samples=10)


def _results(figures: _Figures, **changes: object) -> Results:
    """Results whose measurements are `figures`: for each contender and cell the values of round 1, 2, ..."""
    results = Results(
        date="2026-11-20",
        shape="Qwen3-0.6B",
        rounds=max(map(len, figures.values()), default=1),
        quick=False,
        generator="aiperf 0.13.0",
        machine=Machine(cpu="AMD EPYC", cores=2, memory_bytes=16 << 30, kernel="6.1"),
        bandwidth_gb_s=[],
        contenders=[_contender(key) for key in (_LLAMA, _VLLM, _PREHEAT)],
        measurements=[
            _measurement(contender, cell, value, number)
            for (contender, cell), values in figures.items()
            for number, value in enumerate(values, start=1)
        ],
        failures=[],
    )
    return msgspec.structs.replace(results, **changes)


def _verdict(results: Results, cell: str, promise: str) -> Verdict:
    return next(
        found
        for found in verdicts(results)
        if found.precision_class == "16 bits" and found.cell.key == cell and promise in found.promise
    )


def test_a_ratio_compares_only_what_was_measured_in_the_same_round() -> None:
    results = _results({(_PREHEAT, "tokens_8"): [10.0, 200.0, 30.0], (_LLAMA, "tokens_8"): [5.0, 100.0]})
    found = ratio(results, _CELL["tokens_8"], _contender(_PREHEAT), _contender(_LLAMA))
    assert found is not None
    assert (found.median, found.rounds) == (2.0, 2)


def test_above_1_preheat_is_ahead_even_where_less_is_better() -> None:
    figures = {(_PREHEAT, "ttft_512"): [100.0], (_LLAMA, "ttft_512"): [150.0]}
    found = against_best_peer(_results(figures), _CELL["ttft_512"], "16 bits")
    assert found is not None
    assert found.ratio.median == 1.5


def test_the_best_peer_is_the_one_that_leaves_the_smallest_ratio() -> None:
    figures = {(_PREHEAT, "ttft_512"): [100.0], (_LLAMA, "ttft_512"): [150.0], (_VLLM, "ttft_512"): [90.0]}
    found = against_best_peer(_results(figures), _CELL["ttft_512"], "16 bits")
    assert found is not None
    assert (found.other.key, round(found.ratio.median, 2)) == (_VLLM, 0.9)


def test_the_share_of_the_bandwidth_takes_the_bandwidth_of_its_own_round() -> None:
    results = _results({(_PREHEAT, "tokens_1"): [16.0, 15.0]}, bandwidth_gb_s=[20.0, 20.0, 99.0])
    found = bandwidth_share(results, _contender(_PREHEAT))
    assert found is not None
    assert (found.least, found.most) == (0.75, 0.8)


def test_every_promise_names_cells_that_are_measured() -> None:
    assert {key for promise in PROMISES for key in promise.cells} <= _CELL.keys()


def test_a_cell_behind_the_best_peer_falls_short_with_both_numbers() -> None:
    results = _results({(_PREHEAT, "ttft_512"): [100.0], (_VLLM, "ttft_512"): [90.0]})
    found = _verdict(results, "ttft_512", "ahead")
    assert found.outcome == "FALLS SHORT"
    assert found.figures == "preheat 100 ms and vllm 90.0 ms, 0.90 times."


def test_a_verdict_says_where_it_rests_on_some_of_the_rounds_only() -> None:
    results = _results({(_PREHEAT, "ttft_512"): [100.0, 100.0, 100.0], (_VLLM, "ttft_512"): [110.0]})
    assert _verdict(results, "ttft_512", "ahead").figures.endswith("1.10 times, in 1 of 3 rounds.")


def test_twice_llama_server_is_not_what_beats_the_best_peer() -> None:
    figures = {(_PREHEAT, "tokens_8"): [19.0], (_LLAMA, "tokens_8"): [10.0], (_VLLM, "tokens_8"): [18.0]}
    results = _results(figures)
    assert _verdict(results, "tokens_8", "ahead").outcome == "pass"
    assert _verdict(results, "tokens_8", "twice").outcome == "FALLS SHORT"


@pytest.mark.parametrize(("ours", "outcome"), [([9.71] * 3, "pass"), ([9.69] * 3, "FALLS SHORT")])
def test_one_stream_is_level_down_to_a_noise_of_3_percent(ours: list[float], outcome: str) -> None:
    results = _results({(_PREHEAT, "tokens_1"): ours, (_VLLM, "tokens_1"): [10.0] * 3})
    found = _verdict(results, "tokens_1", "level")
    assert found.outcome == outcome
    assert "noise of 3.0 %" in found.promise


def test_the_noisier_of_two_contenders_decides_what_is_level() -> None:
    results = _results({(_PREHEAT, "tokens_1"): [9.5] * 3, (_VLLM, "tokens_1"): [9.0, 10.0, 11.0]})
    found = _verdict(results, "tokens_1", "level")
    assert found.outcome == "pass"
    assert "noise of 10.0 %" in found.promise


def test_a_missing_contender_leaves_a_verdict_that_says_so() -> None:
    results = _results({(_PREHEAT, "start_up"): [4.0]}, contenders=[_contender(_PREHEAT)])
    assert _verdict(results, "start_up", "ahead").figures == "preheat 4.00 s, nothing to compare it with."
    assert {found.figures for found in verdicts(results) if found.precision_class == "8 bits"} == {
        "Preheat took no part."
    }
    assert "No server of this class took part." in markdown(results)


def test_peak_memory_is_shown_and_not_promised() -> None:
    results = _results({(_PREHEAT, "peak_memory"): [2000.0], (_VLLM, "peak_memory"): [1000.0]})
    assert "2,000" in markdown(results)
    assert all(found.cell.key != "peak_memory" for found in verdicts(results))


def test_a_quick_run_prints_its_verdicts_as_information() -> None:
    figures = {(_PREHEAT, "ttft_512"): [100.0], (_VLLM, "ttft_512"): [90.0]}
    quick, full = _results(figures, quick=True), _results(figures)
    assert "information only" in lines(quick)[0]
    assert "information only" not in lines(full)[0]
    assert "## Verdicts (quick run: information only)" in markdown(quick)
    assert any(line.startswith("FALLS SHORT: 16 bits") for line in lines(quick))


def test_the_table_has_the_spread_and_says_how_many_rounds_are_missing() -> None:
    figures = {(_PREHEAT, "tokens_8"): [80.0, 90.0, 88.0], (_LLAMA, "tokens_8"): [41.0, 40.0]}
    row = (
        f"| {_CELL['tokens_8'].title} | tokens/s | 88.0 (80.0 to 90.0) | 40.5 (40.0 to 41.0), 2 of 3 rounds | not meas"
    )
    assert row in markdown(_results(figures))


def test_what_was_left_out_is_told_apart_from_what_failed() -> None:
    failures = [
        Failure(contender=_VLLM, cell="tokens_16", round=1, reason="One request\nat a time.", kind="left out"),
        Failure(contender=_LLAMA, reason="It did not start.", round=2),
    ]
    report = markdown(_results({(_PREHEAT, "tokens_16"): [140.0]}, failures=failures))
    assert f"| {_CELL['tokens_16'].title} | tokens/s | 140 | failed | not asked |" in report
    assert f"## Left out\n\n- vllm, bf16: {_CELL['tokens_16'].title} (round 1): One request at a time." in report
    assert "## Failed\n\n- llama-server, bf16: everything (round 2): It did not start." in report


def test_the_generators_share_is_of_all_cores() -> None:
    entry = msgspec.structs.replace(_measurement(_PREHEAT, "tokens_8", 88.0), generator_cpu_s=4.0, wall_s=20.0)
    assert "| 10 | 10.0 % | 10.0 % | preheat, bf16 |" in generator_table(_results({}, measurements=[entry]))


def test_saved_results_are_read_back_alike(tmp_path: Path) -> None:
    results = _results({(_PREHEAT, "tokens_8"): [88.0]}, failures=[Failure(contender=_VLLM, reason="No.")])
    path = save(results, tmp_path / "new")
    assert load(path.parent) == results
    assert '"class": "16 bits"' in path.read_text()


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_figure_that_is_no_positive_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"tokens_8, round 1: .*, not a positive number"):
        _measurement(_PREHEAT, "tokens_8", value)


def test_rounds_are_counted_from_1() -> None:
    with pytest.raises(ValueError, match="number the first one 1"):
        _measurement(_PREHEAT, "tokens_8", 88.0, number=0)


def test_plots_are_900_pixels_wide_small_and_only_of_what_was_measured(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib, of the extra `bench`, is not installed")
    from benchmarks.servers.publish import publish, results_folder

    figures = {(_PREHEAT, "tokens_1"): [17.0, 18.0], (_PREHEAT, "tokens_8"): [88.0], (_LLAMA, "start_up"): [6.0]}
    results = _results(figures, quick=True)
    folder = results_folder(results, tmp_path)
    assert folder.name == "amd-epyc-qwen3-0.6b-2026-11-20-quick"
    report = publish(results, folder).read_text()
    plots = {path.name: path.read_bytes() for path in folder.glob("*.png")}
    assert plots.keys() == {"tokens_per_s.png", "start_up.png"}
    assert all(f"]({name})" in report for name in plots)
    assert all(len(png) < 100_000 and int.from_bytes(png[16:20]) == 900 for png in plots.values())
