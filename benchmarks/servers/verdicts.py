"""The promises as data, and what the figures say to each: `pass`, `FALLS SHORT` or `not measured`.

Nothing is enforced here: a machine where a promise falls short gets a report like any other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from benchmarks.servers import missing
from benchmarks.servers.cells import CELLS, Cell
from benchmarks.servers.figures import (
    Comparison,
    against_best_peer,
    against_llama_server,
    measured,
    preheat_of,
)
from benchmarks.servers.results import CLASSES, Results
from benchmarks.servers.wording import quantity, times

LEAST_NOISE = 0.03

Outcome = Literal["pass", "FALLS SHORT", "not measured"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
_Compare = Callable[[Results, Cell, str], Comparison | None]


@dataclass(frozen=True, slots=True)
class Promise:
    """What is promised of some cells: a ratio against one other server of the class."""

    cells: Sequence[str]
    said: str
    compare: _Compare
    more_than: float | None = None
    at_least: float | None = None
    """With neither bound the promise is to be level: 1 less the noise of the two."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One promise about one cell in one class, and what became of it."""

    precision_class: str
    cell: Cell
    promise: str
    outcome: Outcome
    figures: str

    @property
    def sentence(self) -> str:
        return f"{self.outcome}: {self.precision_class}, {self.cell.title}, {self.promise}: {self.figures}"


PROMISES = (
    Promise(
        (
            *("start_up", "ttft_32", "ttft_512", "ttft_2048", "ttft_repeated_2048"),
            *("tokens_4", "tokens_8", "tokens_16", "tokens_32", "itl_p50", "itl_p99", "arriving_ttft"),
        ),
        "ahead of the best peer",
        against_best_peer,
        more_than=1,
    ),
    Promise(("tokens_8", "tokens_16", "tokens_32"), "at least twice llama-server", against_llama_server, at_least=2),
    Promise(("tokens_1",), "level with the best peer", against_best_peer),
)


def verdicts(results: Results) -> list[Verdict]:
    """One verdict for each class, promise and cell, measured or not."""
    cells = {cell.key: cell for cell in CELLS}
    return [
        _verdict(results, precision_class, promise, cells[key])
        for precision_class in CLASSES
        for promise in PROMISES
        for key in promise.cells
    ]


def lines(results: Results) -> list[str]:
    """The verdicts as they are printed, after a line that says what they are worth."""
    first = "Verdicts"
    if results.quick:
        first += ", for information only: a quick run says nothing about the promises"
    return [f"{first}:", *(verdict.sentence for verdict in verdicts(results))]


def noise(results: Results, cell: Cell, precision_class: str, comparison: Comparison) -> float:
    """The larger of the two contenders' half spreads over the rounds, as a share of their medians; at least 0.03."""
    pair = [preheat_of(results, precision_class), comparison.other]
    spreads = [measured(results, contender, cell) for contender in pair if contender is not None]
    return max([LEAST_NOISE, *(spread.relative / 2 for spread in spreads if spread is not None)])


def _verdict(results: Results, precision_class: str, promise: Promise, cell: Cell) -> Verdict:
    comparison = promise.compare(results, cell, precision_class)
    if comparison is None:
        return Verdict(precision_class, cell, promise.said, "not measured", _absent(results, precision_class, cell))
    said, kept = _judged(results, precision_class, promise, cell, comparison)
    figures = _figures(results, precision_class, cell, comparison)
    return Verdict(precision_class, cell, said, "pass" if kept else "FALLS SHORT", figures)


def _absent(results: Results, precision_class: str, cell: Cell) -> str:
    own = preheat_of(results, precision_class)
    if own is None:
        return "Preheat took no part."
    if (spread := measured(results, own, cell)) is None:
        return f"{own.name} {missing.word(results, own, cell)}."
    return f"{own.name} {quantity(spread.median, cell)}, nothing to compare it with."


def _judged(
    results: Results, precision_class: str, promise: Promise, cell: Cell, comparison: Comparison
) -> tuple[str, bool]:
    found = comparison.ratio.median
    if promise.more_than is not None:
        return promise.said, found > promise.more_than
    if promise.at_least is not None:
        return promise.said, found >= promise.at_least
    within = noise(results, cell, precision_class, comparison)
    return f"{promise.said} within a noise of {100 * within:.1f} %", found >= 1 - within


def _figures(results: Results, precision_class: str, cell: Cell, comparison: Comparison) -> str:
    own = preheat_of(results, precision_class)
    said = [
        f"{contender.name} {quantity(spread.median, cell)}"
        for contender in (own, comparison.other)
        if contender is not None and (spread := measured(results, contender, cell)) is not None
    ]
    rounds = comparison.ratio.rounds
    partly = f", in {rounds} of {results.rounds} rounds" if rounds < results.rounds else ""
    return f"{' and '.join(said)}, {times(comparison.ratio)} times{partly}."
