"""Whether an NVIDIA GPU can be reached from here, judged by its device nodes alone.

It loads no library: importing one costs seconds, and in a container the driver's files can be visible (`/proc` is the
host's) while the device is not.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from machine.cgroups import read_text

_DEVICE_NODE = re.compile(r"nvidia\d+")


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """An NVIDIA GPU as this process sees it."""

    available: bool
    """A device node can be seen; false in a container that was not given the device."""
    name: str | None
    """What the driver calls it, also where the device itself is out of reach."""
    looked_for: str
    """What was looked for, for a sentence that explains why none was found."""


def find_gpu(root: Path = Path("/")) -> GpuFacts:
    """Look for NVIDIA device nodes and the driver's description of the first card."""
    try:
        available = any(_DEVICE_NODE.fullmatch(path.name) for path in (root / "dev").iterdir())
    except OSError:
        available = False
    return GpuFacts(available=available, name=_name(root), looked_for="/dev/nvidia0 and /proc/driver/nvidia/gpus")


def _name(root: Path) -> str | None:
    for path in sorted((root / "proc/driver/nvidia/gpus").glob("*/information")):
        for line in (read_text(path) or "").splitlines():
            key, _, value = line.partition(":")
            if key == "Model":
                return value.strip()
    return None
