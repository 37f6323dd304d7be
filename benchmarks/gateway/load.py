"""The load: many streams on raw sockets in one process of its own, because generators that people know are slower than
the gateway. It reads a `Job` from standard input, and writes a `Finding` to standard output.

    python -m benchmarks.gateway.load < job.json

While the clock runs, it only takes bytes; that each answer is whole is proven afterwards.
"""

import json
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from benchmarks.gateway.chunked import LAST_CHUNK, content
from benchmarks.gateway.dialects import DIALECTS, AnswerError, Whole
from benchmarks.gateway.process import REPOSITORY

_READ_BYTES = 1 << 18
_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked, of whom, and how often."""

    dialect: str
    model: str
    port: int
    streams: int
    """Connections at once."""
    answers: int
    """Answers on each connection, one after the other."""
    num_tokens: int
    text_bytes: int
    """Length of the same answer's text, as /generate gives it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of it."""

    tokens: int
    chunks: int
    """HTTP chunks, which several tokens may share."""
    wall_s: float
    cpu_s: float
    """Processor time of the load itself."""


class _Stream:
    """One connection."""

    def __init__(self, job: Job, request: bytes) -> None:
        self._request = request
        self._left = job.answers
        self._parts: list[bytes] = []
        self._tail = b""
        self.answers: list[bytes] = []
        self.connection = socket.create_connection(("127.0.0.1", job.port), timeout=_PATIENCE_S)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self) -> None:
        self._left -= 1
        self.connection.sendall(self._request)

    def read(self) -> bool:
        """Take what has come; returns whether all answers are here."""
        data = self.connection.recv(_READ_BYTES)
        if not data:
            raise AnswerError(f"the connection closed after {sum(map(len, self._parts))} bytes of an answer")
        if not self._parts and not data.startswith(b"HTTP/1.1 200"):
            raise AnswerError(f"the gateway answered {data[:300]!r}, expected 200")
        self._parts.append(data)
        self._tail = (self._tail + data[-len(LAST_CHUNK) :])[-len(LAST_CHUNK) :]
        if self._tail != LAST_CHUNK:
            return False
        self.answers.append(b"".join(self._parts))
        self._parts, self._tail = [], b""
        if not self._left:
            return True
        self.ask()
        return False


def run_apart(job: Job) -> Finding:
    """Run a job in a process of its own.

    Raises:
        AnswerError: an answer was not what was asked for.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gateway.load"],
        cwd=REPOSITORY,
        input=json.dumps(asdict(job)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AnswerError(done.stderr.strip())
    return Finding(**json.loads(done.stdout))


def run(job: Job) -> Finding:
    """Ask, take, prove.

    Raises:
        AnswerError: an answer was not what was asked for.
    """
    request = DIALECTS[job.dialect].request(job.model, job.num_tokens)
    began, cpu_began = time.monotonic(), time.process_time()
    streams = [_Stream(job, request) for _ in range(job.streams)]
    _take_all(streams)
    wall_s, cpu_s = time.monotonic() - began, time.process_time() - cpu_began
    chunks = sum(_prove(answer, job) for stream in streams for answer in stream.answers)
    return Finding(job.streams * job.answers * job.num_tokens, chunks, wall_s, cpu_s)


def _take_all(streams: list[_Stream]) -> None:
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream.connection, selectors.EVENT_READ, stream)
            stream.ask()
        while selector.get_map():
            for key in _ready(selector):
                if key.data.read():
                    selector.unregister(key.fileobj)
                    key.data.connection.close()


def _ready(selector: selectors.BaseSelector) -> Iterator[selectors.SelectorKey]:
    events = selector.select(_PATIENCE_S)
    if not events:
        raise AnswerError(f"nothing came for {_PATIENCE_S:.0f} s")
    return (key for key, _ in events)


def _prove(answer: bytes, job: Job) -> int:
    """Return the number of chunks of an answer that is whole."""
    text, chunks = content(answer)
    tokens = DIALECTS[job.dialect].count_tokens(text, Whole(job.num_tokens, job.text_bytes))
    if tokens != job.num_tokens:
        raise AnswerError(f"{job.dialect} streamed {tokens} tokens, {job.num_tokens} were asked for")
    return chunks


if __name__ == "__main__":
    try:
        print(json.dumps(asdict(run(Job(**json.load(sys.stdin))))))
    except AnswerError as failure:
        sys.exit(str(failure))
