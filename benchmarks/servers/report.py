"""A comparison of servers as Markdown: conditions, figures, ratios, verdicts, settings, and what is missing."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.servers import missing, verdicts, wording
from benchmarks.servers.class_tables import bandwidth_table, figures_table, ratios_table
from benchmarks.servers.generator_table import generator_table
from benchmarks.servers.results import CLASSES, Contender, Results

_GIB = 1 << 30

_HOW_TO_READ = (
    "Each figure is the median of the rounds (least to most). A ratio is the median of the ratios round by round; above"
    " 1 Preheat is ahead, whether more or less is better. The best peer of a cell is the one that leaves Preheat the"
    " smallest ratio. Noise is the distance from the least to the most of Preheat's own rounds, as a share of their"
    " median."
)
_BANDWIDTH = (
    "Each token of a single stream reads every weight once, so the machine's read bandwidth divided by the bytes of"
    " the weights bounds its tokens per second; reads of the KV cache are not counted. The bandwidth was read with all"
    " cores in the same rounds"
)
_GENERATOR = (
    "The load generator runs on the same machine as the server, so what it computes, the server cannot. Its share of"
    " all cores' CPU seconds from its start to its end: the median of all contenders and rounds, and the largest."
)


def markdown(results: Results, plots: Sequence[Path] = ()) -> str:
    """The whole report; `plots` are shown by their file names, so they belong into the report's folder."""
    parts = [
        f"# Servers compared on {results.machine.cpu}, {results.date}" + (" (quick run)" if results.quick else ""),
        _conditions(results),
        *(f"![{plot.stem.replace('_', ' ')}]({plot.name})" for plot in plots),
        _HOW_TO_READ,
        *(part for name in CLASSES for part in _class_part(results, name)),
        "## One stream and the memory bandwidth",
        f"{_BANDWIDTH}: {_bandwidths(results)}.",
        bandwidth_table(results),
        *_verdicts(results),
        "## Settings",
        *(_settings(contender) for contender in results.contenders),
        *missing.paragraphs(results),
        "## The load generator's own cost",
        _GENERATOR,
        generator_table(results),
    ]
    return "\n\n".join(parts) + "\n"


def _conditions(results: Results) -> str:
    machine = results.machine
    servers = ", ".join(dict.fromkeys(f"{contender.name} {contender.version}" for contender in results.contenders))
    memory = f"{machine.memory_bytes / _GIB:.1f} GiB of memory"
    return (
        f"{machine.cpu}, {machine.cores} cores, {memory}, kernel {machine.kernel}."
        f" A model in the shape of {results.shape} with random weights. Load from {results.generator}. One server at a"
        f" time, in turn, {_rounds(results.rounds)}. {servers}."
    )


def _rounds(rounds: int) -> str:
    return "1 round" if rounds == 1 else f"{rounds} rounds"


def _class_part(results: Results, precision_class: str) -> list[str]:
    members = [contender for contender in results.contenders if contender.precision_class == precision_class]
    if not members:
        return [f"## Weights in {precision_class}", "No server of this class took part."]
    return [
        f"## Weights in {precision_class}",
        figures_table(results, precision_class),
        ratios_table(results, precision_class),
    ]


def _bandwidths(results: Results) -> str:
    read = ", ".join(f"{wording.number(bandwidth)} GB/s" for bandwidth in results.bandwidth_gb_s)
    return read or "not read"


def _verdicts(results: Results) -> list[str]:
    found = verdicts.verdicts(results)
    counted = Counter(verdict.outcome for verdict in found)
    said = ", ".join(f"{counted[outcome]} {outcome}" for outcome in verdicts.OUTCOMES) + "."
    heads = ["class", "cell", "promise", "verdict", "figures"]
    rows = [
        [verdict.precision_class, verdict.cell.title, verdict.promise, verdict.outcome, verdict.figures]
        for verdict in found
    ]
    return [
        "## Verdicts (quick run: information only)" if results.quick else "## Verdicts",
        "A quick run says nothing about the promises. " + said if results.quick else said,
        wording.table(heads, rows, words=len(heads)),
    ]


def _settings(contender: Contender) -> str:
    reads = f"{contender.weight_bytes / 1e9:.2f} GB of weights read per token."
    said = f"**{contender.title}** ({contender.version}), {reads} {contender.notes}".rstrip()
    command = "\n".join(f"    {line}" for line in contender.command.splitlines())
    return f"{said}\n\n{command}"
