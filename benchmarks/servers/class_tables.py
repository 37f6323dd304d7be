"""The tables of one class of precision: figures, ratios; and of all classes, the share of the bandwidth."""

from benchmarks.servers import missing
from benchmarks.servers.cells import CELLS, Cell
from benchmarks.servers.figures import (
    Comparison,
    against_best_peer,
    against_llama_server,
    bandwidth_share,
    by_round,
    measured,
    of_class,
    preheat_of,
    spread_of,
)
from benchmarks.servers.results import Contender, Results
from benchmarks.servers.wording import percent, spread, table, times


def figures_table(results: Results, precision_class: str) -> str:
    """Cells by contenders, each the median with its spread, or why there is none."""
    members = of_class(results, precision_class)
    heads = ["", "unit", *(contender.name for contender in members)]
    rows = [[cell.title, cell.unit, *(_figure(results, member, cell) for member in members)] for cell in CELLS]
    return table(heads, rows, words=2)


def ratios_table(results: Results, precision_class: str) -> str:
    """Preheat against the best peer and against llama-server, cell by cell, with the noise of its own rounds."""
    heads = ["Preheat is ahead by", "against the best peer", "which is", "against llama-server", "noise"]
    rows = [[cell.title, *_ratios(results, precision_class, cell)] for cell in CELLS]
    return table(heads, rows)


def bandwidth_table(results: Results) -> str:
    """Per contender: tokens per second of one stream, what each token reads, and the share of the bandwidth this is."""
    rows = [
        [
            contender.title,
            _speed(results, contender),
            f"{contender.weight_bytes / 1e9:.2f}",
            _share(results, contender),
        ]
        for contender in results.contenders
    ]
    return table(["", "tokens/s, one stream", "GB read per token", "share of the bandwidth"], rows)


def _figure(results: Results, contender: Contender, cell: Cell) -> str:
    found = measured(results, contender, cell)
    if found is None:
        return missing.word(results, contender, cell)
    partly = f", {found.rounds} of {results.rounds} rounds" if found.rounds < results.rounds else ""
    return spread(found) + partly


def _ratios(results: Results, precision_class: str, cell: Cell) -> list[str]:
    best = against_best_peer(results, cell, precision_class)
    own = preheat_of(results, precision_class)
    ours = measured(results, own, cell) if own else None
    return [
        _ratio(best),
        best.other.name if best else "",
        _ratio(against_llama_server(results, cell, precision_class)),
        f"{100 * ours.relative:.1f} %" if ours and ours.rounds > 1 else "",
    ]


def _ratio(comparison: Comparison | None) -> str:
    return times(comparison.ratio) if comparison else ""


def _speed(results: Results, contender: Contender) -> str:
    found = spread_of(by_round(results, contender, "tokens_1").values())
    return spread(found) if found else "not measured"


def _share(results: Results, contender: Contender) -> str:
    found = bandwidth_share(results, contender)
    return percent(found) if found else "not measured"
