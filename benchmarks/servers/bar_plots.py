"""Bars for figures of which less is better: a row for each server, a panel with a scale of its own for each cell."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.servers import missing, wording
from benchmarks.servers.cells import Cell
from benchmarks.servers.figures import measured, of_class
from benchmarks.servers.plot_style import FAINT, INK, TEXT_POINTS, bare, look_of, new_figure
from benchmarks.servers.results import CLASSES, Contender, Results

_ROW_INCHES = 0.27
_HEAD_AND_FOOT_INCHES = 1.0
_NUMBER_WIDTH = 0.15
"""Of the whole figure, the wider the more panels share it."""


@dataclass(frozen=True, slots=True)
class _Row:
    place: float
    label: str
    contender: Contender | None
    """None: the line is the name of a class."""


def bars(results: Results, title: str, panels: Sequence[tuple[Cell, str]]) -> Figure:
    """Draw one panel for each cell and its short title, all with the same rows."""
    rows = _rows(results)
    figure = new_figure(results, title, _HEAD_AND_FOOT_INCHES + _ROW_INCHES * len(rows))
    all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (cell, panel_title) in zip(all_axes, panels, strict=True):
        reach = _panel(axes, results, cell, rows)
        axes.set_xlim(0, reach * (1 + _NUMBER_WIDTH * len(panels)))
        axes.set_title(f"{panel_title}, {cell.unit}", fontsize=9, color=INK, loc="left")
    _label_rows(all_axes[0], rows)
    return figure


def _rows(results: Results) -> list[_Row]:
    rows: list[_Row] = []
    for precision_class in CLASSES:
        members = of_class(results, precision_class)
        if members:
            rows.append(_Row(len(rows), precision_class, None))
            rows += [_Row(len(rows) + nth, member.name, member) for nth, member in enumerate(members)]
    return rows


def _panel(axes: Axes, results: Results, cell: Cell, rows: Sequence[_Row]) -> float:
    """Draw all bars of one cell, and return how far the longest reaches; 1 where there is none."""
    bare(axes, "left")
    axes.set_xticks([])
    return max(_bar(axes, results, cell, row.place, row.contender) for row in rows if row.contender is not None) or 1.0


def _bar(axes: Axes, results: Results, cell: Cell, place: float, contender: Contender) -> float:
    """Draw one bar with its spread and its number, and return how far it reaches."""
    found = measured(results, contender, cell)
    if found is None:
        axes.annotate(
            missing.word(results, contender, cell), (0, place), (4, 0), textcoords="offset points", va="center",
            fontsize=TEXT_POINTS - 1, color=FAINT, style="italic",
        )  # fmt: skip
        return 0.0
    axes.barh(place, found.median, height=0.72, color=look_of(contender).colour)
    axes.hlines(place, found.least, found.most, color=INK, linewidth=1.2)
    axes.annotate(
        wording.number(found.median), (found.most, place), (4, 0), textcoords="offset points", va="center",
        fontsize=TEXT_POINTS, color=INK, fontweight="bold" if contender.is_preheat else "normal",
    )  # fmt: skip
    return found.most


def _label_rows(axes: Axes, rows: Sequence[_Row]) -> None:
    axes.set_yticks([row.place for row in rows], [row.label for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    for row, label in zip(rows, axes.get_yticklabels(), strict=True):
        own = row.contender is not None and row.contender.is_preheat
        label.set_fontweight("bold" if own else "normal")
        label.set_color(look_of(row.contender).colour if row.contender and own else INK if row.contender else FAINT)
