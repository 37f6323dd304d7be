"""How a plot looks: one colour and one marker for each server in all of them, Preheat the strongest."""

import re
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from benchmarks.servers.results import Contender, Results

WIDTH_INCHES = 7.5
INK = "#333333"
FAINT = "#8a8a8a"
TEXT_POINTS = 8.5
_DPI = 120
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Look:
    """What one server is drawn with."""

    colour: str
    marker: str
    width: float = 1.4


_LOOKS = {
    "preheat": Look("#d9480f", "o", 2.4),
    "llama-server": Look("#3b6fb0", "s"),
    "vllm": Look("#4f9d8a", "^"),
    "transformers-serve": Look("#9478b5", "D"),
    "naive": Look("#b59a3c", "v"),
}
_UNKNOWN = Look("#7f7f7f", "x")


def look_of(contender: Contender) -> Look:
    """The look of a server, whatever its precision; a server that is not known here is grey."""
    return next((look for server, look in _LOOKS.items() if contender.key.startswith(server)), _UNKNOWN)


def new_figure(results: Results, title: str, height_inches: float) -> Figure:
    """An empty figure with a title that says what is shown, and below it where and how it was measured."""
    below_head = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - 0.52 / height_inches))
    figure = Figure(figsize=(WIDTH_INCHES, height_inches), dpi=_DPI, layout=below_head)
    figure.text(0.012, 1 - 0.10 / height_inches, title, va="top", fontsize=11, fontweight="bold", color=INK)
    figure.text(0.012, 1 - 0.32 / height_inches, _conditions(results), va="top", fontsize=TEXT_POINTS, color=FAINT)
    return figure


def _conditions(results: Results) -> str:
    machine = results.machine
    memory = f"{machine.memory_bytes / _GIB:.0f} GiB"
    rounds = f"median and spread of {results.rounds} rounds" if results.rounds > 1 else "1 round"
    quick = "quick run, " if results.quick else ""
    return (
        f"Shape of {results.shape}; {_short(machine.cpu)}, {machine.cores} cores, {memory};"
        f" {quick}{rounds}, {results.date}"
    )


def _short(cpu: str) -> str:
    """The processor's name without what every name has, so that one line of the plot holds it."""
    return " ".join(re.sub(r"\((R|TM)\)|\bCPU\b|@.*|\b\d+-Core Processor\b|\bProcessor\b", " ", cpu).split())


def bare(axes: Axes, *spines: str) -> None:
    """Take away all of the frame but the named sides, and make what is left small and quiet."""
    for side, spine in axes.spines.items():
        spine.set_visible(side in spines)
        spine.set_color(FAINT)
    axes.tick_params(labelsize=TEXT_POINTS, colors=INK, length=0)


def write(figure: Figure, folder: Path, name: str) -> Path:
    """Write `name`.png without the library's name and version, so that equal figures are equal files."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    figure.savefig(path, format="png", metadata={"Software": None})
    return path
