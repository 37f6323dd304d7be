"""What a gateway and its worker hold when nobody asks anything, and whether that is what they held before."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.support.gateway_process import GatewayProcess
from tests.support.metrics import metrics

_SETTLING_S: Final = 3.0
ALLOWED: Final = {
    "gateway_rss_mb": 24.0,
    "gateway_threads": 8.0,
    "gateway_files": 2.0,
    "worker_rss_mb": 64.0,
    "worker_threads": 2.0,
    "worker_files": 2.0,
    "requests_running": 0.0,
    "tokens_inside": 0.0,
}
"""By how much each may have grown. Pools of threads take their size when they are first needed all at once, and memory
allocators keep some of what they were given; a leak of a kilobyte for each request passes both within minutes."""


@dataclass(frozen=True, slots=True)
class Level:
    """One look at both processes; memory in MB (10^6 bytes)."""

    gateway_rss_mb: float
    gateway_threads: float
    gateway_files: float
    worker_rss_mb: float
    worker_threads: float
    worker_files: float
    requests_running: float
    tokens_inside: float

    def as_json(self) -> dict[str, float]:
        return asdict(self)


def worker_of(running: GatewayProcess) -> int | None:
    """The worker's process, or None while there is none."""
    return next(iter(running.children()), None)


def settled(running: GatewayProcess) -> Level:
    """Have caches dropped, wait a little, and look."""
    cleared = running.client.post("/clear_cache")
    assert cleared.status_code == 200, cleared.text
    time.sleep(_SETTLING_S)
    worker = worker_of(running)
    assert worker is not None, "the gateway is ready and has no worker"
    numbers = metrics(running)
    gateway = running.process.pid
    return Level(
        *(_rss_mb(gateway), _count(gateway, "task"), _count(gateway, "fd")),
        *(_rss_mb(worker), _count(worker, "task"), _count(worker, "fd")),
        *(numbers["preheat_requests_running"], numbers["preheat_tokens_inside"]),
    )


def grown(before: Level, after: Level) -> list[str]:
    """A sentence for each figure that is higher than it may be."""
    old, new = before.as_json(), after.as_json()
    return [
        f"{name} was {old[name]:g} and is {new[name]:g} with nobody there, expected at most {old[name] + allowed:g}"
        for name, allowed in ALLOWED.items()
        if new[name] > old[name] + allowed
    ]


def _rss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    kib = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    return round(kib * 1024 / 1e6, 1)


def _count(pid: int, what: str) -> float:
    return float(sum(1 for _ in Path(f"/proc/{pid}/{what}").iterdir()))
