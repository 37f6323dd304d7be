"""What one comparison of servers knows, and the file that holds it.

Everything else (tables, verdicts, plots) is made of this file alone, so that it can be made again without measuring.
"""

from pathlib import Path

import msgspec

from benchmarks.servers.records import CLASSES, Contender, Failure, Machine, Measurement

__all__ = ["CLASSES", "Contender", "Failure", "Machine", "Measurement", "Results", "load", "save"]

_FILE_NAME = "results.json"


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
