"""How long a start takes, and what the process holds after it and after load."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.gateway.dialects import DIALECTS
from benchmarks.gateway.load import Job, run_apart
from benchmarks.gateway.process import gateway
from benchmarks.gateway.volumes import Volume

TARGET_BOUND_S: Final = 1.0
TARGET_MB: Final = 120.0
_STREAMS: Final = 64
_TOKENS: Final = 128


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the process's start until a client can connect, and until READY; medians."""

    bound_s: float
    ready_s: float
    starts: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What the gateway's process itself held, in MB: all of its pages, and its share of those that others map too."""

    title: str
    when: str
    rss_mb: float
    pss_mb: float


def measure_starts(checkout: Path, volume: Volume, number: int) -> Start:
    """Start so many times, one after the other."""
    times = []
    for _ in range(number):
        with gateway(checkout, volume.store, volume.model) as measured:
            times.append((measured.until_bound(), measured.until_ready()))
    bound, ready = zip(*times, strict=True)
    return Start(statistics.median(bound), statistics.median(ready), number)


def measure_memory(checkout: Path, volume: Volume) -> Iterator[Memory]:
    """What is held in READY, and after every dialect was asked for streams."""
    with gateway(checkout, volume.store, volume.model) as measured:
        measured.until_ready()
        yield Memory(volume.title, "in READY", *measured.memory_mb())
        text_bytes = measured.whole(volume.model, _TOKENS).text_bytes
        for name in DIALECTS:
            run_apart(Job(name, volume.model, measured.port, _STREAMS, 2, _TOKENS, text_bytes))
        yield Memory(volume.title, f"after {_STREAMS} streams in every dialect", *measured.memory_mb())
