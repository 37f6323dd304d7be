"""How numbers are written in a report: with the digits that a reader can use, and their spread beside them."""

from collections.abc import Iterable, Sequence

from benchmarks.servers.cells import Cell
from benchmarks.servers.figures import Spread


def decimals(value: float) -> int:
    """How many digits after the point leave about three that say something."""
    return 0 if value >= 100 else 1 if value >= 10 else 2


def number(value: float) -> str:
    return f"{value:,.{decimals(value)}f}"


def quantity(value: float, cell: Cell) -> str:
    return f"{number(value)} {cell.unit}"


def spread(found: Spread) -> str:
    """Write `median (least to most)`, all three with the digits of the median; a single round has no spread."""
    return _with_spread(found, decimals(found.median))


def times(ratio: Spread) -> str:
    """A ratio with two decimals, whatever its size up to 100: the second one decides at a bound."""
    return _with_spread(ratio, 2 if ratio.median < 100 else 0)


def percent(share: Spread) -> str:
    """A share of 1 as a percentage with its spread."""
    hundredfold = Spread(100 * share.median, 100 * share.least, 100 * share.most, share.rounds)
    return _with_spread(hundredfold, 0) + " %"


def _with_spread(found: Spread, digits: int) -> str:
    middle = f"{found.median:,.{digits}f}"
    if found.rounds == 1:
        return middle
    return f"{middle} ({found.least:,.{digits}f} to {found.most:,.{digits}f})"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """A Markdown table; its first `words` columns hold words and stand to the left, the others to the right."""
    rules = ["---"] * words + ["---:"] * (len(heads) - words)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rules, *rows))


def listed(names: Iterable[str]) -> str:
    """Names in their order, each once, with commas between."""
    return ", ".join(dict.fromkeys(names))
