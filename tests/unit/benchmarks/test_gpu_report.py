"""The report of the GPU's figures: a later run adds to it, and runs that were not alike are not mixed."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu.profile_rows import advice
from benchmarks.gpu.report import read_rows, write


def _row(precision: str, contender: str, streams: int, speed: float) -> dict[str, object]:
    return {
        "precision": precision,
        "contender": contender,
        "streams": streams,
        "tokens_per_s": speed,
        "least": speed - 1,
        "most": speed + 1,
        "first_token_ms": 20.0,
        "load_s": 3.0,
        "held_bytes": 1 << 30,
        "peak_bytes": None,
        "failure": "",
    }


def _report(*rows: dict[str, object], **changes: object) -> dict[str, Any]:
    return {
        "device": "NVIDIA H200",
        "shape": "Qwen3-8B",
        "date": "2026-11-20",
        "prompt_tokens": 256,
        "output_tokens": 128,
        "rounds": 3,
        "versions": {"torch": "2.13.0"},
        "suite": None,
        "rows": list(rows),
    } | changes


def test_the_table_has_the_engine_beside_the_others_with_their_ratio(tmp_path: Path) -> None:
    table = write(tmp_path, _report(_row("bfloat16", "engine", 8, 300.0), _row("bfloat16", "generate", 8, 150.0)))
    assert table.name == "nvidia-h200-qwen3-8b-2026-11-20.md"
    assert "| bfloat16 | 8 | 150.0 (149.0 to 151.0) | 300.0 (299.0 to 301.0) |  | 2.00 |  |" in table.read_text()


def test_a_later_run_adds_its_rows_and_replaces_what_it_measured_anew(tmp_path: Path) -> None:
    write(tmp_path, _report(_row("bfloat16", "engine", 8, 300.0), _row("int8", "engine", 8, 200.0)))
    table = write(tmp_path, _report(_row("int8", "engine", 8, 250.0)))
    speeds = {(row["precision"], row["tokens_per_s"]) for row in read_rows(table)}
    assert speeds == {("bfloat16", 300.0), ("int8", 250.0)}


def test_runs_that_were_not_alike_are_not_mixed(tmp_path: Path) -> None:
    table = write(tmp_path, _report(_row("bfloat16", "engine", 8, 300.0)))
    with pytest.raises(ValueError, match="prompt_tokens 256, this one 512"):
        write(tmp_path, _report(_row("int8", "engine", 8, 250.0), prompt_tokens=512))
    assert len(json.loads(table.with_suffix(".json").read_text())["rows"]) == 1


def test_the_figures_say_what_they_mean_for_the_profile() -> None:
    rows = [
        _row("bfloat16", "engine", 32, 900.0),
        _row("bfloat16", "engine", 128, 1800.0),
        _row("int8", "engine", 128, 2000.0),
    ]
    said = " ".join(advice(rows))
    assert "128 streams bfloat16 1800, int8 2000 tokens/s" in said
    assert "going from 32 to 128 streams makes 2.00 times the tokens/s" in said
