"""How many threads are worth starting, and whether the processor calculates in 16 bits.

A container's CPU quota does not show in `os.cpu_count()`: forty threads on a quota of two spend their time waiting for
each other, which costs far more than the missing cores.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path

from machine.cgroups import CgroupLevel, levels_of, read_text

_FLAGS_WITH_16_BIT_ARITHMETIC = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Names in /proc/cpuinfo: the first two on x86, the last on 64-bit Arm."""


@dataclass(frozen=True, slots=True)
class CpuFacts:
    """Processors as this process may use them."""

    threads: int
    """Floor of the smaller of `affinity` and `quota`, at least 1."""
    affinity: int
    """Number of processors that this process may be scheduled on (cpusets included)."""
    quota: float | None
    """Processors' worth of time that the tightest cgroup grants, or None without a quota."""
    has_16_bit_arithmetic: bool
    model_name: str


def usable_cpus(root: Path = Path("/")) -> CpuFacts:
    """Find the processors that this process may use, and what they can do."""
    affinity = _affinity(root)
    quotas = [quota for level in levels_of("cpu", root) if (quota := _quota(level)) is not None]
    quota = min(quotas, default=None)
    flags, model_name = _processor(root)
    return CpuFacts(
        threads=max(1, math.floor(min(affinity, affinity if quota is None else quota))),
        affinity=affinity,
        quota=quota,
        has_16_bit_arithmetic=not flags.isdisjoint(_FLAGS_WITH_16_BIT_ARITHMETIC),
        model_name=model_name,
    )


def _affinity(root: Path) -> int:
    for line in (read_text(root / "proc/self/status") or "").splitlines():
        name, _, value = line.partition(":")
        if name == "Cpus_allowed_list" and value.strip():
            return _count_processors(value.strip())
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _count_processors(ranges: str) -> int:
    """Count what a list such as `0-3,8,10-11` names."""
    bounds = [part.split("-") for part in ranges.split(",")]
    return sum(int(part[-1]) - int(part[0]) + 1 for part in bounds)


def _quota(level: CgroupLevel) -> float | None:
    if level.version == 2:
        # "150000 100000": microseconds granted in each period of so many; "max 100000" is no quota
        granted, period = ((read_text(level.folder / "cpu.max") or "max") + " 100000").split()[:2]
    else:
        granted = (read_text(level.folder / "cpu.cfs_quota_us") or "-1").strip()
        period = (read_text(level.folder / "cpu.cfs_period_us") or "100000").strip()
    if not granted.isdigit() or not period.isdigit() or int(granted) == 0 or int(period) == 0:
        return None
    return int(granted) / int(period)


def _processor(root: Path) -> tuple[frozenset[str], str]:
    flags: frozenset[str] = frozenset()
    model_name = "unknown processor"
    for line in (read_text(root / "proc/cpuinfo") or "").splitlines():
        name, _, value = (part.strip() for part in line.partition(":"))
        if name in {"flags", "Features"}:
            return frozenset(value.split()), model_name
        if name == "model name" and value:
            model_name = value
    return flags, model_name
