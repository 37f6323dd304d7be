"""How much of the machine the load generator took for itself, and how many samples stand behind a figure."""

from benchmarks.servers.cells import CELLS, Cell
from benchmarks.servers.figures import spread_of
from benchmarks.servers.results import Measurement, Results
from benchmarks.servers.wording import table


def generator_table(results: Results) -> str:
    """Cell by cell; cells that no generator was needed for are left out."""
    rows = [row for cell in CELLS if (row := _row(results, cell))]
    if not rows:
        return "Not measured."
    return table(["", "samples in a round", "share of the CPU", "largest share", "with"], rows)


def _row(results: Results, cell: Cell) -> list[str]:
    entries = [entry for entry in results.measurements if entry.cell == cell.key]
    shares = {entry: share for entry in entries if (share := generator_share(entry, results.machine.cores)) is not None}
    found = spread_of(shares.values())
    if found is None:
        return []
    most = max(shares, key=shares.__getitem__)
    names = {contender.key: contender.title for contender in results.contenders}
    fewest, largest = min(entry.samples for entry in entries), max(entry.samples for entry in entries)
    samples = str(fewest) if fewest == largest else f"{fewest} to {largest}"
    return [
        cell.title,
        samples,
        _percent(found.median),
        _percent(found.most),
        names.get(most.contender, most.contender),
    ]


def generator_share(entry: Measurement, cores: int) -> float | None:
    """The generator's CPU seconds as a share of what the machine had while it ran; None where either is unknown."""
    if entry.generator_cpu_s is None or not entry.wall_s:
        return None
    return entry.generator_cpu_s / (entry.wall_s * cores)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
