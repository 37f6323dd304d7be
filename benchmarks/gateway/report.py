"""The table, and what it says of the targets."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeAlias

from benchmarks.gateway.growth import Level, growth_per_1000
from benchmarks.gateway.starts import TARGET_BOUND_S, TARGET_MB, Memory, Start
from benchmarks.gateway.streams import (
    FRONT_DOOR,
    TARGET_STREAMS,
    TARGET_TOKENS_PER_S,
    TARGET_US,
    UNLIMITED,
    Row,
)

Facts: TypeAlias = Mapping[str, object]


@dataclass(slots=True)
class Report:
    """What was measured; a part that was left out is empty."""

    facts: Facts
    rows: list[Row] = field(default_factory=list)
    start: Start | None = None
    memory: list[Memory] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)
    profile: list[tuple[str, float]] = field(default_factory=list)

    def write(self, folder: Path, name: str) -> Path:
        """Write `name`.md and `name`.json; returns the path of the table."""
        folder.mkdir(parents=True, exist_ok=True)
        found = {
            **self.facts,
            "streams": [row.as_json() for row in self.rows],
            "start": asdict(self.start) if self.start else None,
            "memory": [asdict(memory) for memory in self.memory],
            "growth": [asdict(level) for level in self.levels],
            "profile": self.profile,
        }
        (folder / f"{name}.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
        table = folder / f"{name}.md"
        table.write_text(self.text(), encoding="utf-8")
        return table

    def text(self) -> str:
        """The whole of it as Markdown."""
        parts = [
            "# What the gateway itself costs\n\n" + "\n".join(f"- {name}: {fact}" for name, fact in self.facts.items()),
            stream_table(self.rows),
            _start_table(self.start),
            _memory_table(self.memory),
            _growth_table(self.levels),
            _profile_table(self.profile),
            "\n".join(f"- {line}" for line in self.verdicts()),
        ]
        return "\n\n".join(part for part in parts if part) + "\n"

    def verdicts(self) -> list[str]:
        """Each target with the figure that was reached, and whether that is a pass."""
        lines = []
        paced = [
            row.median("own_us")
            for row in self.rows
            if row.cell.pace != UNLIMITED and row.cell.streams == TARGET_STREAMS and row.cell.of == "gateway"
        ]
        if paced:
            what = f"µs of processor time per token at {TARGET_STREAMS} streams, the dearest dialect"
            lines.append(_verdict(what, max(paced), TARGET_US))
        lines += [_throughput(row) for row in _asked_for_enough(self.rows)]
        if self.start:
            lines.append(_verdict("s to the bound port", self.start.bound_s, TARGET_BOUND_S))
        lines += [_verdict(f"MB of RSS, {one.title} {one.when}", one.rss_mb, TARGET_MB) for one in self.memory]
        return lines


def stream_table(rows: Sequence[Row]) -> str:
    """One line for each cell, with its dearest and cheapest round."""
    if not rows:
        return ""
    lines = [
        "| pace of each | streams | dialect | process | µs/token | rounds | worker | load | tokens/s | tokens/frame |",
        "|---|--:|---|---|--:|---|--:|--:|--:|--:|",
    ]
    for row in rows:
        cell, own = row.cell, [turn.own_us for turn in row.rounds]
        lines.append(
            f"| {'unlimited' if cell.pace == UNLIMITED else f'{cell.pace}/s'} | {cell.streams} | {cell.dialect} "
            f"| {cell.of} | {row.median('own_us'):.1f} | {min(own):.1f} to {max(own):.1f} "
            f"| {row.median('worker_us'):.1f} | {row.median('load_us'):.1f} | {row.median('tokens_per_s'):,.0f} "
            f"| {row.median('tokens_per_frame'):.2f} |"
        )
    notes = (
        "µs/token is processor time, user and system, of the process named, from connecting to the last byte, requests "
        "included; the median of the rounds. The load is the benchmark's own, on raw sockets: it takes bytes while the "
        "clock runs, and proves afterwards that each answer is whole. Tokens that are ready together share a frame."
    )
    return "\n".join([*lines, "", notes, *_ratios(rows)])


def _asked_for_enough(rows: Sequence[Row]) -> list[Row]:
    """The rows in which the target's rate could come through; without a pace, most of it would share few frames."""
    return [row for row in rows if row.cell.of == "gateway" and row.cell.pace * row.cell.streams >= TARGET_TOKENS_PER_S]


def _throughput(row: Row) -> str:
    what = (
        f"tokens/s through one process, {row.cell.streams} streams at {row.cell.pace}/s, "
        f"{row.median('tokens_per_frame'):.1f} tokens in a frame"
    )
    return _verdict(what, row.median("tokens_per_s"), TARGET_TOKENS_PER_S, at_least=True)


def _ratios(rows: Sequence[Row]) -> list[str]:
    """Other checkouts against this one, cell by cell."""
    own = {(row.cell.pace, row.cell.streams, row.cell.dialect): row for row in rows if row.cell.of == "gateway"}
    lines = []
    for row in rows:
        cell = row.cell
        ours = own.get((cell.pace, cell.streams, cell.dialect))
        if ours is not None and cell.of not in {"gateway", FRONT_DOOR}:
            ratio = ours.median("own_us") / row.median("own_us")
            lines.append(f"- {cell.dialect}, {cell.streams} streams: {ratio:.2f} of the time of {cell.of}")
    return ["", *lines] if lines else []


def _start_table(start: Start | None) -> str:
    if start is None:
        return ""
    return (
        f"From process start, median of {start.starts}: {start.bound_s:.2f} s to the bound port, "
        f"{start.ready_s:.2f} s to READY with the fake engine."
    )


def _memory_table(memory: Sequence[Memory]) -> str:
    if not memory:
        return ""
    lines = [f"| {one.title} | {one.when} | {one.rss_mb:.1f} | {one.pss_mb:.1f} |" for one in memory]
    return "\n".join(["| model | when | RSS, MB | PSS, MB |", "|---|---|--:|--:|", *lines])


def _growth_table(levels: Sequence[Level]) -> str:
    if not levels:
        return ""
    lines = [
        f"| {one.requests:,} | {one.rss_mb:.1f} | {one.threads} | {one.open_files} | {one.running} |" for one in levels
    ]
    head = ["| requests | RSS, MB | threads | open files | still running |", "|--:|--:|--:|--:|--:|"]
    said = f"Least squares over the second half: {growth_per_1000(levels):+.3f} MB for each 1,000 requests."
    return "\n".join([*head, *lines, "", said])


def _profile_table(profile: Sequence[tuple[str, float]]) -> str:
    if not profile:
        return ""
    lines = [f"| {100 * share:.1f} % | `{name}` |" for name, share in profile[:15]]
    return "\n".join(["| own time | function |", "|--:|---|", *lines])


def _verdict(what: str, figure: float, target: float, *, at_least: bool = False) -> str:
    passed = figure >= target if at_least else figure <= target
    bound = "at least" if at_least else "at most"
    return f"{'pass' if passed else 'FALLS SHORT'}: {figure:,.1f} {what}; {bound} {target:,.0f} is the target"
