"""What one comparison of servers knows, and the file that holds it.

Everything else (tables, verdicts, plots) is made of this file alone, so that it can be made again without measuring.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.servers.records import CLASSES, Contender, Failure, Machine, Measurement

__all__ = ["CLASSES", "Contender", "Failure", "Machine", "Measurement", "Results", "load", "merge", "save"]

_FILE_NAME = "results.json"
_ALIKE = ("date", "shape", "quick", "generator", "machine")


class Results(msgspec.Struct, kw_only=True):
    """All that one comparison knows; measurements and failures are added to it while it runs."""

    date: str
    shape: str
    rounds: int
    quick: bool
    generator: str
    machine: Machine
    bandwidth_gb_s: list[float]
    """Read bandwidth with all cores, in 10^9 bytes per second; the first of the list belongs to round 1."""
    contenders: list[Contender]
    measurements: list[Measurement]
    failures: list[Failure]


def save(results: Results, folder: Path) -> Path:
    """Write `results.json` into `folder`, whole or not at all, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _FILE_NAME
    unfinished = path.with_suffix(".json.new")
    unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
    unfinished.replace(path)
    return path


def load(folder: Path) -> Results:
    """Read the `results.json` of `folder`.

    Raises:
        FileNotFoundError: there is none.
        msgspec.ValidationError: it has another form than `Results`.
    """
    return msgspec.json.decode((folder / _FILE_NAME).read_bytes(), type=Results)


def merge(earlier: Results, later: Results) -> Results:
    """An interrupted comparison and its continuation as one; what `later` tried anew replaces what `earlier` has of it.

    Rounds keep their numbers, and ratios pair by them: round 2 of both is taken for the same round.

    Raises:
        ValueError: the two were not measured alike, or a contender was started differently.
    """
    _refuse_unlike(earlier, later)
    anew: list[Measurement | Failure] = [*later.measurements, *later.failures]
    of_later = {contender.key for contender in later.contenders}
    return msgspec.structs.replace(
        later,
        rounds=max(earlier.rounds, later.rounds),
        bandwidth_gb_s=later.bandwidth_gb_s + earlier.bandwidth_gb_s[len(later.bandwidth_gb_s) :],
        contenders=[old for old in earlier.contenders if old.key not in of_later] + later.contenders,
        measurements=[old for old in earlier.measurements if not _replaced(old, anew)] + later.measurements,
        failures=[old for old in earlier.failures if not _replaced(old, anew)] + later.failures,
    )


def _refuse_unlike(earlier: Results, later: Results) -> None:
    for field in _ALIKE:
        before, now = getattr(earlier, field), getattr(later, field)
        if before != now:
            raise ValueError(f"the earlier results have {field} {before}, these {now}: move the earlier ones away.")
    before_by_key = {contender.key: contender for contender in earlier.contenders}
    for contender in later.contenders:
        if before_by_key.get(contender.key, contender) != contender:
            raise ValueError(f"{contender.key} was started differently in the earlier results: move those away.")


def _replaced(old: Measurement | Failure, anew: Sequence[Measurement | Failure]) -> bool:
    return any(
        new.contender == old.contender
        and (new.round == old.round or None in (new.round, old.round))
        and (new.cell == old.cell or None in (new.cell, old.cell))
        for new in anew
    )
