"""The plots of a comparison of servers: throughput over streams, first tokens, steady tokens, start-up."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmarks.servers.bar_plots import bars
from benchmarks.servers.cells import CELLS, Cell
from benchmarks.servers.figures import measured, of_class
from benchmarks.servers.plot_style import INK, TEXT_POINTS, bare, look_of, new_figure, write
from benchmarks.servers.results import CLASSES, Contender, Results

_STREAMS = (1, 4, 8, 16, 32)
_CELLS = {cell.key: cell for cell in CELLS}


def draw(results: Results, folder: Path) -> list[Path]:
    """Write those plots into `folder` of which anything was measured, and return their paths.

    A PNG is 900 pixels wide. No display is needed: a figure of its own draws with Agg, without pyplot's global state.
    """
    plots = (
        ("tokens_per_s", _throughput, [f"tokens_{streams}" for streams in _STREAMS]),
        ("time_to_first_token", _first_token, ["ttft_32", "ttft_512", "ttft_2048", "ttft_repeated_2048"]),
        ("inter_token_latency", _inter_token, ["itl_p50", "itl_p99", "arriving_ttft"]),
        ("start_up", _start_up, ["start_up"]),
    )
    known = {entry.cell for entry in results.measurements}
    return [write(drawn(results), folder, name) for name, drawn, cells in plots if known & set(cells)]


def _throughput(results: Results) -> Figure:
    figure = new_figure(results, "Output tokens per second over concurrent streams: more is better", 3.9)
    present = [name for name in CLASSES if of_class(results, name)]
    all_axes = figure.subplots(1, len(present), sharey=True, squeeze=False)[0]
    for axes, precision_class in zip(all_axes, present, strict=True):
        _streams_axes(axes, precision_class)
        for contender in reversed(of_class(results, precision_class)):
            _line(axes, results, contender)
    all_axes[0].set_ylabel("output tokens/s, all streams", fontsize=TEXT_POINTS, color=INK)
    all_axes[0].set_ylim(bottom=0)
    _legend(figure, all_axes)
    return figure


def _streams_axes(axes: Axes, precision_class: str) -> None:
    bare(axes, "bottom")
    axes.set_title(f"weights in {precision_class}", fontsize=9, color=INK, loc="left")
    axes.set_xscale("log", base=2)
    axes.set_xticks(_STREAMS, [str(streams) for streams in _STREAMS])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(_STREAMS[0] * 0.85, _STREAMS[-1] * 1.18)
    axes.set_xlabel("streams", fontsize=TEXT_POINTS, color=INK)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)


def _line(axes: Axes, results: Results, contender: Contender) -> None:
    found = [
        (streams, spread)
        for streams in _STREAMS
        if (spread := measured(results, contender, _CELLS[f"tokens_{streams}"])) is not None
    ]
    if not found:
        return
    look = look_of(contender)
    axes.errorbar(
        [streams for streams, _ in found],
        [spread.median for _, spread in found],
        yerr=[[s.median - s.least for _, s in found], [s.most - s.median for _, s in found]],
        label=contender.name,
        color=look.colour,
        marker=look.marker,
        linewidth=look.width,
        markersize=5,
        capsize=2.5,
        elinewidth=1,
        zorder=3 if contender.is_preheat else 2,
    )


def _legend(figure: Figure, all_axes: Sequence[Axes]) -> None:
    """One legend for all panels, each server once; Preheat, drawn last to lie on top, is named first."""
    entries = {
        str(label): handle
        for axes in all_axes
        for handle, label in reversed(list(zip(*axes.get_legend_handles_labels(), strict=True)))
    }
    figure.legend(
        list(entries.values()), list(entries), loc="outside lower left", ncols=len(entries), frameon=False,
        fontsize=TEXT_POINTS, labelcolor=INK,
    )  # fmt: skip


def _first_token(results: Results) -> Figure:
    panels = _panels(ttft_32="32 tokens", ttft_512="512", ttft_2048="2,048", ttft_repeated_2048="2,048 repeated")
    return bars(results, "Time to first token by length of the prompt, one request alone: less is better", panels)


def _inter_token(results: Results) -> Figure:
    panels = _panels(
        itl_p50="between tokens, p50", itl_p99="between tokens, p99", arriving_ttft="first token, arriving"
    )
    return bars(results, "8 streams while 2,048-token prompts keep arriving: less is better", panels)


def _start_up(results: Results) -> Figure:
    panels = _panels(start_up="process start to first correct answer, weights in the page cache")
    return bars(results, "Start-up: less is better", panels)


def _panels(**titles: str) -> list[tuple[Cell, str]]:
    return [(_CELLS[key], title) for key, title in titles.items()]
