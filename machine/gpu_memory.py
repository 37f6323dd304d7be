"""What the NVIDIA driver says of its cards: names and memory, asked through `nvidia-smi`, which comes with the driver.

No library is loaded for it: the process that asks is not the one that computes.
"""

import subprocess
from dataclasses import dataclass

_MIB = 1 << 20
_QUERY = ("nvidia-smi", "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits")
_PATIENCE_S = 20.0
"""A driver that has to wake its card first takes seconds."""


class GpuUnusableError(Exception):
    """There is no card that can be used; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class GpuCard:
    """One card, as the driver sees it now."""

    name: str
    total_bytes: int
    free_bytes: int


def gpu_cards() -> tuple[GpuCard, ...]:
    """Ask the driver for its cards.

    Raises:
        GpuUnusableError: there is no driver, it does not answer, or it has no card.
    """
    try:
        asked = subprocess.run(_QUERY, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except FileNotFoundError as error:
        raise GpuUnusableError("nvidia-smi, which comes with the driver, is not there") from error
    except subprocess.TimeoutExpired as error:
        raise GpuUnusableError(f"nvidia-smi has not answered within {_PATIENCE_S:.0f} s") from error
    if asked.returncode != 0:
        said = (asked.stderr or asked.stdout).strip().splitlines()[:1] or ["nothing"]
        raise GpuUnusableError(f"nvidia-smi ended with {asked.returncode} and said {said[0]!r}")
    cards = tuple(_parse(line) for line in asked.stdout.splitlines() if line.strip())
    if not cards:
        raise GpuUnusableError("the driver knows no card")
    return cards


def _parse(line: str) -> GpuCard:
    try:
        name, total, free = (part.strip() for part in line.rsplit(",", 2))
        return GpuCard(name, int(total) * _MIB, int(free) * _MIB)
    except ValueError as error:
        raise GpuUnusableError(f"nvidia-smi said {line!r}, expected a name and two sizes") from error
