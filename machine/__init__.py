"""What this process may really use: processors, memory, a GPU; a container's limits count, not the host's size.

It reports facts and decides nothing: which profile or how many bytes of cache follow from them is decided elsewhere.
"""

from dataclasses import dataclass
from pathlib import Path

from machine.cpu import CpuFacts, usable_cpus
from machine.gpu import GpuFacts, find_gpu
from machine.memory import MemoryFacts, available_memory

__all__ = ["CpuFacts", "GpuFacts", "MachineFacts", "MemoryFacts", "available_memory", "find_gpu", "look", "usable_cpus"]


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """Everything that was found, at one moment."""

    cpu: CpuFacts
    memory: MemoryFacts
    gpu: GpuFacts


def look(root: Path = Path("/")) -> MachineFacts:
    """Look at the machine now; `root` is where `proc`, `sys` and `dev` are, so that tests can bring their own."""
    return MachineFacts(cpu=usable_cpus(root), memory=available_memory(root), gpu=find_gpu(root))
