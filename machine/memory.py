"""How much memory this process may use in all, and how much of that is still free.

The smallest of the machine's memory and the limits of every cgroup above the process wins. Page cache counts as free:
the kernel gives it back before it kills anyone.
"""

import os
import resource
from dataclasses import dataclass
from pathlib import Path

from machine.cgroups import CgroupLevel, levels_of, read_text

_LIMIT_FILE = {1: "memory.limit_in_bytes", 2: "memory.max"}
_USAGE_FILE = {1: "memory.usage_in_bytes", 2: "memory.current"}
_RECLAIMABLE_KEYS = {1: ("total_inactive_file", "total_active_file"), 2: ("inactive_file", "active_file")}
"""Pages of files that are on a disk. Those that were used twice, as weights are that were loaded again, are active."""


@dataclass(frozen=True, slots=True)
class MemoryFacts:
    """Memory as this process may use it, in bytes."""

    limit_bytes: int
    """The most that may ever be used: the tightest cgroup limit, or the machine's memory."""
    available_bytes: int
    """What could be allocated now without swapping or being killed."""
    source: str
    """Which of the two bounds `available_bytes`: "cgroup limit" or "machine"."""


def available_memory(root: Path = Path("/")) -> MemoryFacts:
    """Find the memory that this process may still take, and who says so."""
    total_bytes, free_bytes = _machine_memory(root)
    limits = [
        (limit, max(0, limit - _unreclaimable_bytes(level)))
        for level in levels_of("memory", root)
        if (limit := _limit_bytes(level)) is not None and limit < total_bytes
    ]
    available_in_cgroup = min((available for _, available in limits), default=None)
    bound_by_cgroup = available_in_cgroup is not None and available_in_cgroup <= free_bytes
    return MemoryFacts(
        limit_bytes=min((limit for limit, _ in limits), default=total_bytes),
        available_bytes=free_bytes if available_in_cgroup is None else min(available_in_cgroup, free_bytes),
        source="cgroup limit" if bound_by_cgroup else "machine",
    )


def _machine_memory(root: Path) -> tuple[int, int]:
    """Return total and available bytes; without /proc (macOS), what is available is taken to be the total."""
    sizes = _numbers(read_text(root / "proc/meminfo"))
    if "MemTotal" not in sizes:
        total_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return total_bytes, total_bytes
    total_bytes = sizes["MemTotal"] * 1024
    return total_bytes, sizes.get("MemAvailable", sizes["MemTotal"]) * 1024


def _limit_bytes(level: CgroupLevel) -> int | None:
    """Read a level's limit; "max" is none, and so is version 1's largest number, which exceeds every machine."""
    text = (read_text(level.folder / _LIMIT_FILE[level.version]) or "").strip()
    return int(text) if text.isdigit() else None


def _unreclaimable_bytes(level: CgroupLevel) -> int:
    used = (read_text(level.folder / _USAGE_FILE[level.version]) or "0").strip()
    statistics = _numbers(read_text(level.folder / "memory.stat"))
    reclaimable_bytes = sum(statistics.get(key, 0) for key in _RECLAIMABLE_KEYS[level.version])
    return max(0, int(used) - reclaimable_bytes) if used.isdigit() else 0


def _numbers(text: str | None) -> dict[str, int]:
    """Read lines such as `MemTotal:  16384 kB` and `inactive_file 4096` into a table."""
    pairs = (line.replace(":", " ").split() for line in (text or "").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) > 1 and pair[1].isdigit()}


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM now, pages of mapped files included."""
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()
