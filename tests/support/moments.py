"""Moments of a process's work on a folder: which there are, and a process that something happens to at one of them."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.gateway_process import REPOSITORY

_HOOK = Path(__file__).parent / "at_a_moment"


@dataclass
class Moments:
    """What one process and its children do to a folder."""

    folder: Path
    trace: Path
    """A file that is not there yet, elsewhere."""
    at: int = 0
    """The moment, counted from 1, at which it happens; 0 lets everything go on."""
    filler: Path | None = None
    """Fill the disk by this file; without it, kill the process."""
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.environment = {
            "PYTHONPATH": f"{_HOOK}:{REPOSITORY}",
            "MOMENTS_FOLDER": str(self.folder),
            "MOMENTS_TRACE": str(self.trace),
            "MOMENTS_AT": str(self.at),
            "MOMENTS_FILLER": str(self.filler or ""),
        }

    def seen(self) -> list[str]:
        """Each operation and its path below the folder, in order."""
        return self.trace.read_text(encoding="utf-8").splitlines() if self.trace.exists() else []

    def steps(self) -> list[int]:
        """The first moment of each kind of step: numbers in names, as of processes and contents, make no other kind."""
        first: dict[str, int] = {}
        for moment, line in enumerate(self.seen(), start=1):
            first.setdefault(re.sub(r"\d+", "N", line), moment)
        return sorted(first.values())
