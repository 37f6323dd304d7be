"""A real `python -m llm_gateway` with the fake engine, or a front door before it, and what the kernel says of it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.gateway.dialects import AnswerError, Whole, plain_body

REPOSITORY: Final = Path(__file__).parents[2]
_PATIENCE_S: Final = 60.0
_LOOK_AGAIN_S: Final = 0.002


class Measured:
    """A process that is looked at from outside."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.process = process
        self.port = port
        self.started = time.monotonic()

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu_s(self) -> float:
        """Processor time so far, user and system, of all its threads and of no child."""
        return time.clock_gettime(_cpu_clock(self.pid))

    def memory_mb(self) -> tuple[float, float]:
        """RSS and PSS now, in megabytes (10^6 bytes)."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines[1:])}
        return kib["Rss"] * 1024 / 1e6, kib["Pss"] * 1024 / 1e6

    def open_files(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    def threads(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.pid}/task").iterdir())

    def running(self) -> int:
        """Requests that hold a place now, by the gateway's own metrics."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_S)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return int(float(next(line.split()[1] for line in lines if line.startswith("preheat_requests_running "))))

    def worker_cpu_s(self) -> float:
        """Processor time so far of its children, which are its workers."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return sum(time.clock_gettime(_cpu_clock(int(child))) for child in children)

    def until_bound(self) -> float:
        """Wait until somebody can connect; returns the seconds from the process's start."""
        return self._until(lambda: _connects(self.port))

    def until_ready(self) -> float:
        """Wait for READY; returns the seconds from the process's start."""
        return self._until(lambda: self._status("/readyz") == 200)

    def whole(self, model: str, num_tokens: int) -> Whole:
        """Ask for an answer that is not streamed.

        Raises:
            AnswerError: there is none of that length.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_S)
        connection.request("POST", "/generate", json.dumps(plain_body(model, num_tokens)), _JSON)
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        if answer.get("usage", {}).get("completion_tokens") != num_tokens:
            raise AnswerError(f"/generate answered {str(answer)[:200]}, expected {num_tokens} tokens")
        return Whole(num_tokens, len(str(answer["output"]).encode()))

    def stop(self) -> None:
        """Stop without waiting for what runs."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_PATIENCE_S / 6)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _until(self, it_is_so: Callable[[], bool]) -> float:
        while not it_is_so():
            if self.process.poll() is not None or time.monotonic() - self.started > _PATIENCE_S:
                raise AnswerError(f"the process that should listen on {self.port} does not; run it by hand to see why")
            time.sleep(_LOOK_AGAIN_S)
        return time.monotonic() - self.started

    def _status(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()


@contextmanager
def gateway(checkout: Path, store: Path, model: str, knobs: str = "", **settings: str) -> Iterator[Measured]:
    """Run a checkout's gateway on a volume; `knobs` are the fake engine's."""
    port = free_port()
    environment = {
        "MODEL_STORE": str(store),
        "MODEL_NAME": model,
        "GATEWAY_PORT": str(port),
        "ENGINE": "fake",
        "FAKE_ENGINE": knobs,
        "MAX_CONCURRENT_REQUESTS": "512",
        "LOG_FORMAT": "json",
        **settings,
    }
    with _running(["-m", "llm_gateway"], checkout, port, environment) as measured:
        yield measured


@contextmanager
def front_door(checkout: Path, gateway_port: int) -> Iterator[Measured]:
    """Run the front door before a gateway."""
    port = free_port()
    with _running(["-m", "front_door", str(port), f"127.0.0.1:{gateway_port}", "30"], checkout, port, {}) as measured:
        measured.until_bound()
        yield measured


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _running(arguments: list[str], checkout: Path, port: int, environment: Mapping[str, str]) -> Iterator[Measured]:
    inherited = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=checkout, env=inherited | dict(environment), stderr=subprocess.DEVNULL
    )
    measured = Measured(process, port)
    try:
        yield measured
    finally:
        measured.stop()


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S).close()
    except OSError:
        return False
    return True


def _cpu_clock(pid: int) -> int:
    """The clock that Linux keeps for a process, in nanoseconds (clock_getcpuclockid(3))."""
    return (~pid << 3) | 2


_JSON: Final = {"Content-Type": "application/json"}
