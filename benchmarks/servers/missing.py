"""Why a figure is not there: in one word for a table, in a sentence for the end of the report."""

from collections import defaultdict

from benchmarks.servers.cells import CELLS, Cell
from benchmarks.servers.results import Contender, Failure, Results
from benchmarks.servers.wording import listed


def word(results: Results, contender: Contender, cell: Cell) -> str:
    """`not asked` where it was left out on purpose, `failed` where it was tried, else `not measured`."""
    kinds = {
        failure.kind
        for failure in results.failures
        if failure.contender == contender.key and failure.cell in (cell.key, None)
    }
    if "failed" in kinds:
        return "failed"
    return "not asked" if kinds else "not measured"


def paragraphs(results: Results) -> list[str]:
    """Two lists, each only where it has something in it: what was left out, and what failed."""
    left_out = [failure for failure in results.failures if failure.kind == "left out"]
    failed = [failure for failure in results.failures if failure.kind == "failed"]
    return [
        part
        for heading, failures in (("## Left out", left_out), ("## Failed", failed))
        if failures
        for part in (heading, "\n".join(_sentences(results, failures)))
    ]


def _sentences(results: Results, failures: list[Failure]) -> list[str]:
    """One line for each contender and reason, however many cells and rounds it cost."""
    names = {contender.key: contender.title for contender in results.contenders}
    grouped: defaultdict[tuple[str, str], list[Failure]] = defaultdict(list)
    for failure in failures:
        grouped[names.get(failure.contender, failure.contender), " ".join(failure.reason.split())].append(failure)
    return [f"- {name}: {_where(alike)}: {reason}" for (name, reason), alike in grouped.items()]


def _where(alike: list[Failure]) -> str:
    titles = {cell.key: cell.title for cell in CELLS}
    cells = listed(titles.get(failure.cell, failure.cell) if failure.cell else "everything" for failure in alike)
    rounds = listed(str(failure.round) for failure in alike if failure.round is not None)
    return f"{cells} (round {rounds})" if rounds else cells
