"""Processor time per streamed token: dialects, numbers of streams, paces and checkouts, taken in turn."""

import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.gateway.load import Finding, Job, run_apart
from benchmarks.gateway.process import Measured, front_door, gateway
from benchmarks.gateway.volumes import Volume

UNLIMITED: Final = 0
"""A pace: as fast as the fake engine can."""
TARGET_US: Final = 40.0
TARGET_TOKENS_PER_S: Final = 20_000
TARGET_STREAMS: Final = 64
FRONT_DOOR: Final = "front door"
_TOKENS_OF_AN_UNLIMITED_TURN: Final = 1 << 15
"""Several answers in a row on few streams, because a clock that is read from outside needs something to count."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one row of the table is about."""

    pace: int
    """Tokens per second of each stream, or `UNLIMITED`."""
    streams: int
    dialect: str
    of: str = "gateway"
    """The process whose time is counted: `gateway`, the name of another checkout's, or `FRONT_DOOR`."""


@dataclass(slots=True)
class Row:
    """The rounds of one cell."""

    cell: Cell
    rounds: list["Turn"] = field(default_factory=list)

    def median(self, name: str) -> float:
        """The median of one figure of `Turn`."""
        values: list[float] = [getattr(turn, name) for turn in self.rounds]
        return statistics.median(values)

    def as_json(self) -> dict[str, object]:
        return {**asdict(self.cell), "rounds": [asdict(turn) for turn in self.rounds]}


@dataclass(frozen=True, slots=True)
class Turn:
    """One measurement; processor times are in microseconds per token."""

    own_us: float
    worker_us: float
    load_us: float
    tokens_per_s: float
    tokens_per_frame: float


class Bench:
    """The gateways that are measured, started once for each pace and checkout."""

    def __init__(self, volume: Volume, checkouts: dict[str, Path], paces: Sequence[int], num_tokens: int) -> None:
        self._volume = volume
        self._checkouts = checkouts
        self._paces = paces
        self._num_tokens = num_tokens
        self._stack = ExitStack()
        self._gateways: dict[tuple[str, int], Measured] = {}
        self._text_bytes: dict[tuple[str, int], int] = {}

    def __enter__(self) -> "Bench":
        store, model = self._volume.store, self._volume.model
        with ExitStack() as stack:
            for pace in self._paces:
                for name, path in self._checkouts.items():
                    measured = stack.enter_context(gateway(path, store, model, _knobs(pace)))
                    measured.until_ready()
                    self._gateways[name, pace] = measured
                    self._text_bytes[name, pace] = measured.whole(model, self._num_tokens).text_bytes
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def turn(self, cell: Cell) -> Turn:
        """Measure a cell once.

        Raises:
            AnswerError: an answer was not what was asked for.
        """
        if cell.of != FRONT_DOOR:
            measured = self._gateways[cell.of, cell.pace]
            return self._turn(cell, measured, measured, self._text_bytes[cell.of, cell.pace])
        name, path = next(iter(self._checkouts.items()))
        behind = self._gateways[name, cell.pace]
        with front_door(path, behind.port) as door:
            return self._turn(cell, door, behind, self._text_bytes[name, cell.pace])

    def _turn(self, cell: Cell, measured: Measured, behind: Measured, text_bytes: int) -> Turn:
        job = Job(
            dialect=cell.dialect,
            model=self._volume.model,
            port=measured.port,
            streams=cell.streams,
            answers=_answers(cell, self._num_tokens),
            num_tokens=self._num_tokens,
            text_bytes=text_bytes,
        )
        own_s, worker_s = measured.cpu_s(), behind.worker_cpu_s()
        finding = run_apart(job)
        return _turn_of(finding, measured.cpu_s() - own_s, behind.worker_cpu_s() - worker_s)


def measure(bench: Bench, cells: Sequence[Cell], rounds: int) -> Iterator[Row]:
    """Take every cell in turn, `rounds` times after one that does not count; yield each when its last is taken."""
    rows = [Row(cell) for cell in cells]
    for number in range(rounds + 1):
        for row in rows:
            turn = bench.turn(row.cell)
            if number:
                row.rounds.append(turn)
            if number == rounds:
                yield row


def _turn_of(finding: Finding, own_s: float, worker_s: float) -> Turn:
    each = 1e6 / finding.tokens
    return Turn(
        own_us=own_s * each,
        worker_us=worker_s * each,
        load_us=finding.cpu_s * each,
        tokens_per_s=finding.tokens / finding.wall_s,
        tokens_per_frame=finding.tokens / finding.chunks,
    )


def _answers(cell: Cell, num_tokens: int) -> int:
    if cell.pace != UNLIMITED:
        return 1
    return max(1, _TOKENS_OF_AN_UNLIMITED_TURN // (cell.streams * num_tokens))


def _knobs(pace: int) -> str:
    return "" if pace == UNLIMITED else f"tokens_per_s={pace}"
