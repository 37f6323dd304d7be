"""Figures as Markdown: medians of rounds, with the least and the most beside them."""

import statistics
from collections.abc import Iterable, Sequence


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table; a cell is text already."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def spread(values: Sequence[float]) -> str:
    """Write the median, and least to most: `161 (150 to 170)`.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("there is no value to take the median of; measure at least once")
    median, least, most = (_significant(value) for value in (statistics.median(values), min(values), max(values)))
    return median if least == most else f"{median} ({least} to {most})"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` (0 to 1) of all values are not above, of the values that there are."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _significant(value: float) -> str:
    """Three digits, as far as they say something: 1.23, 12.3, 123, 1234."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
