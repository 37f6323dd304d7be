"""Whether anything grows with the number of requests: answers whole, streamed and left half read, in all dialects."""

import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.gateway.chunked import LAST_CHUNK
from benchmarks.gateway.dialects import DIALECTS, AnswerError, plain_body, post
from benchmarks.gateway.process import Measured, gateway
from benchmarks.gateway.volumes import Volume

_AT_ONCE: Final = 16
_TOKENS: Final = 32
_TOKENS_OF_A_LEFT_ANSWER: Final = 1024
_EVERY: Final = 7
"""One in so many is left as soon as its first bytes are here."""
_PATIENCE_S: Final = 60.0
_LOOK_AGAIN_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Level:
    """What the gateway's process holds after so many requests, with none open."""

    requests: int
    rss_mb: float
    threads: int
    open_files: int
    running: int
    """Requests that still hold a place."""


def watch(checkout: Path, volume: Volume, requests: int, every: int) -> Iterator[Level]:
    """Send requests, and look at the process after each `every` of them.

    Raises:
        AnswerError: a request failed, or a place was not given back.
    """
    with gateway(checkout, volume.store, volume.model) as measured, ThreadPoolExecutor(_AT_ONCE) as pool:
        measured.until_ready()
        for begun in range(0, requests, every):
            numbers = range(begun, min(begun + every, requests))
            # Consumed, so that whatever a request raised is raised here.
            for _ in pool.map(lambda number: _ask(measured.port, volume.model, number), numbers):
                pass
            yield _level(measured, numbers.stop)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Least squares: by how much the second value grows for each one of the first."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def growth_per_1000(levels: Sequence[Level]) -> float:
    """MB of RSS for each 1,000 requests, in the second half of the run, when every pool has its size."""
    second_half = levels[len(levels) // 2 :]
    return 1000 * slope([(level.requests, level.rss_mb) for level in second_half])


def _ask(port: int, model: str, number: int) -> None:
    names = list(DIALECTS)
    kind = number % (len(names) + 1)
    leaves = number % _EVERY == 0
    if kind == len(names):
        request, end = post("/generate", plain_body(model, _TOKENS)), b"}"
    else:
        request, end = DIALECTS[names[kind]].request(model, _TOKENS_OF_A_LEFT_ANSWER if leaves else _TOKENS), LAST_CHUNK
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S) as connection:
        connection.sendall(request)
        answer = connection.recv(1 << 16)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise AnswerError(f"request {number} was answered {answer[:200]!r}, expected 200")
        while not leaves and not answer.endswith(end):
            more = connection.recv(1 << 16)
            if not more:
                raise AnswerError(f"the answer to request {number} ends with {answer[-60:]!r}, expected {end!r}")
            answer += more


def _level(measured: Measured, requests: int) -> Level:
    """Look once the answers that were left have ended too."""
    deadline = time.monotonic() + _PATIENCE_S
    while (running := measured.running()) and time.monotonic() < deadline:
        time.sleep(_LOOK_AGAIN_S)
    return Level(requests, measured.memory_mb()[0], measured.threads(), measured.open_files(), running)
