"""What was measured, as JSON that a later run adds to, and as a Markdown table."""

import json
import platform
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.gpu.rounds import CONTENDERS, Row
from benchmarks.gpu.workload import PRECISIONS

_PACKAGES = ("torch", "transformers", "accelerate", "bitsandbytes", "flash-attn", "kernels")
_GIB = 1 << 30

Report = dict[str, Any]


def versions() -> dict[str, str]:
    """Python and what computes; a package that is not installed says so, since attention kernels are optional."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def write(folder: Path, report: Report) -> Path:
    """Write JSON and Markdown named by device, shape and date; rows of an earlier run stay unless measured anew.

    Returns:
        The Markdown's path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^a-z0-9.]+", "-", f"{report['device']}-{report['shape']}-{report['date']}".lower()).strip("-")
    path = folder / f"{name}.json"
    if path.exists():
        report = _added(json.loads(path.read_text(encoding="utf-8")), report)
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    table = path.with_suffix(".md")
    table.write_text(markdown(report), encoding="utf-8")
    return table


def _added(earlier: Report, report: Report) -> Report:
    """The new report with those rows of an earlier one that it has not measured again.

    Raises:
        ValueError: they were not measured alike.
    """
    for key in ("prompt_tokens", "output_tokens", "versions"):
        if earlier[key] != report[key]:
            raise ValueError(f"an earlier run of today has {key} {earlier[key]}, this one {report[key]}: move it away")
    anew = {(row["precision"], row["contender"]) for row in report["rows"]}
    kept = [row for row in earlier["rows"] if (row["precision"], row["contender"]) not in anew]
    suite = report["suite"] or earlier["suite"]
    return report | {"rows": kept + report["rows"], "suite": suite}


def read_rows(table: Path) -> list[Row]:
    """All rows that the Markdown at `table` was made of."""
    rows: list[Row] = json.loads(table.with_suffix(".json").read_text(encoding="utf-8"))["rows"]
    return rows


def markdown(report: Report) -> str:
    rows: list[Any] = report["rows"]
    parts = [
        f"# Throughput on {report['device']}, {report['date']}",
        _conditions(report),
        "Conformance suite: " + _suite(report["suite"]),
        "## Output tokens per second: median (least to most) of the rounds",
        _table(["precision", "streams", *CONTENDERS, "engine / generate", "engine / serve"], _speeds(rows)),
        "## First token at one stream, loading, memory",
        _table(
            ["precision", "contender", "first token, ms", "load, s", "GPU memory held, GiB", "torch's peak, GiB"],
            _costs(rows),
        ),
    ]
    failures = sorted({str(row["failure"]) for row in rows if row["failure"]})
    parts += ["Not measured to the end: " + "; ".join(failures)] if failures else []
    return "\n\n".join(parts) + "\n"


def _conditions(report: Report) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    return (
        f"A model in the shape of {report['shape']} with random weights; {report['prompt_tokens']} tokens in,"
        f" {report['output_tokens']} out, greedy, no prefix in common. The engine through its contract, `generate`"
        " with one batch, `transformers serve` over HTTP with continuous batching, in turn in the same run,"
        f" {report['rounds']} rounds."
        f" {packages}."
    )


def _suite(suite: Report | None) -> str:
    if suite is None:
        return "not run."
    return "; ".join([suite["summary"], *suite["failed"]]) + "."


def _speeds(rows: Sequence[Row]) -> Iterable[list[str]]:
    found = {(row["precision"], row["streams"], row["contender"]): row for row in rows if row["streams"]}
    for precision in PRECISIONS:
        for streams in sorted({int(str(streams)) for name, streams, _ in found if name == precision}):
            cells = [found.get((precision, streams, contender)) for contender in CONTENDERS]
            speeds = {name: cell["tokens_per_s"] for name, cell in zip(CONTENDERS, cells, strict=True) if cell}
            ratios = [_ratio(speeds.get("engine"), speeds.get(other)) for other in ("generate", "serve")]
            yield [precision, str(streams), *map(_speed, cells), *ratios]


def _speed(row: Row | None) -> str:
    return "" if row is None else f"{row['tokens_per_s']:.1f} ({row['least']:.1f} to {row['most']:.1f})"


def _ratio(value: object, other: object) -> str:
    return f"{value / other:.2f}" if isinstance(value, float) and isinstance(other, float) else ""


def _costs(rows: Sequence[Row]) -> Iterable[list[str]]:
    for precision in PRECISIONS:
        for contender in CONTENDERS:
            own = [row for row in rows if (row["precision"], row["contender"]) == (precision, contender)]
            if own:
                first = next((row["first_token_ms"] for row in own if row["streams"] == 1), None)
                memory = [_number(own[0][key], "{:.1f}", _GIB) for key in ("held_bytes", "peak_bytes")]
                yield [precision, contender, _number(first, "{:.0f}"), _number(own[0]["load_s"], "{:.1f}"), *memory]


def _number(value: object, form: str, unit: int = 1) -> str:
    return form.format(value / unit) if isinstance(value, int | float) else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
