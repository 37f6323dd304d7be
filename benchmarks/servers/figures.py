"""What the rounds say: medians with their spread, and ratios that compare only what was measured in the same round."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from benchmarks.servers.cells import Cell
from benchmarks.servers.results import Contender, Results

_BYTES_PER_GB = 1e9


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of the rounds and how far they went."""

    median: float
    least: float
    most: float
    rounds: int

    @property
    def relative(self) -> float:
        """From the least to the most, as a share of the median."""
        return (self.most - self.least) / self.median


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many times better Preheat is than one other, whichever direction is better: above 1 it is ahead."""

    other: Contender
    ratio: Spread


def of_class(results: Results, precision_class: str) -> list[Contender]:
    """The contenders of one class, Preheat first."""
    members = [contender for contender in results.contenders if contender.precision_class == precision_class]
    return sorted(members, key=lambda contender: not contender.is_preheat)


def preheat_of(results: Results, precision_class: str) -> Contender | None:
    return next((own for own in of_class(results, precision_class) if own.is_preheat), None)


def by_round(results: Results, contender: Contender, cell_key: str) -> dict[int, float]:
    return {
        entry.round: entry.value
        for entry in results.measurements
        if (entry.contender, entry.cell) == (contender.key, cell_key)
    }


def spread_of(values: Iterable[float]) -> Spread | None:
    """The spread of some values; None where there are none."""
    found = list(values)
    return Spread(median(found), min(found), max(found), len(found)) if found else None


def measured(results: Results, contender: Contender, cell: Cell) -> Spread | None:
    return spread_of(by_round(results, contender, cell.key).values())


def ratio(results: Results, cell: Cell, own: Contender, other: Contender) -> Spread | None:
    """Spread of the ratios round by round, above 1 where `own` is better; None where no round has both.

    Neighbours on the machine and its clock change from round to round and touch both alike, so they cancel out here as
    they would not in a ratio of medians.
    """
    ours, theirs = by_round(results, own, cell.key), by_round(results, other, cell.key)
    rounds = sorted(ours.keys() & theirs.keys())
    return spread_of(
        ours[number] / theirs[number] if cell.higher_is_better else theirs[number] / ours[number] for number in rounds
    )


def against_best_peer(results: Results, cell: Cell, precision_class: str) -> Comparison | None:
    """Preheat against the peer of its class that leaves it the smallest ratio; None where nothing can be paired."""
    comparisons = _comparisons(results, cell, precision_class)
    return min(comparisons, key=lambda comparison: comparison.ratio.median, default=None)


def against_llama_server(results: Results, cell: Cell, precision_class: str) -> Comparison | None:
    comparisons = _comparisons(results, cell, precision_class)
    return next((comparison for comparison in comparisons if comparison.other.is_llama_server), None)


def _comparisons(results: Results, cell: Cell, precision_class: str) -> list[Comparison]:
    own = preheat_of(results, precision_class)
    if own is None:
        return []
    peers = [member for member in of_class(results, precision_class) if not member.is_preheat]
    ratios = [(peer, ratio(results, cell, own, peer)) for peer in peers]
    return [Comparison(peer, found) for peer, found in ratios if found is not None]


def bandwidth_share(results: Results, contender: Contender) -> Spread | None:
    """Share of the read bandwidth of the same round that one stream's tokens used; None where either is missing.

    Each token of a single stream reads every weight once, so bandwidth divided by their bytes bounds the tokens per
    second; the KV cache's reads come on top and are not counted.
    """
    speeds = by_round(results, contender, "tokens_1")
    return spread_of(
        speeds[number] * contender.weight_bytes / (bandwidth * _BYTES_PER_GB)
        for number, bandwidth in enumerate(results.bandwidth_gb_s, start=1)
        if number in speeds
    )
