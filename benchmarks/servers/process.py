"""A server as a process: started, waited for until it answers, measured, and ended with everything it started."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from benchmarks.servers.contender import REPOSITORY, Server

_PATIENCE_S = 400.0
_POLL_S = 0.05
_END_S = 20.0


class ServerFailedError(Exception):
    """A server did not start, or does not answer as asked; the message says which and why."""


class RunningServer:
    """A server that has given a first answer."""

    def __init__(self, server: Server, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.server = server
        self.url = f"http://127.0.0.1:{port}"
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for_an_answer(self) -> None:
        """Ask until one token comes back, which is what a client would do.

        Raises:
            ServerFailedError: the process ended, or took too long.
        """
        body = {"model": self.server.model, "prompt": "Hello", "max_tokens": 1, **self.server.extra}
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise ServerFailedError(f"it ended with {self._process.returncode}; its log ends: {self.last_words()}")
            with contextlib.suppress(httpx.TransportError):
                answer = httpx.post(f"{self.url}/v1/completions", json=body, timeout=_PATIENCE_S, trust_env=False)
                if answer.is_success:
                    return _check_one_token(answer)
                if answer.is_client_error and answer.status_code != httpx.codes.NOT_FOUND:
                    raise ServerFailedError(f"it refused the first request: {answer.text[:300]}")
            time.sleep(_POLL_S)  # a server that is not there yet has no other way to say when it is
        raise ServerFailedError(f"it gave no answer within {_PATIENCE_S:.0f} s; its log ends: {self.last_words()}")

    def peak_memory_bytes(self) -> int:
        """The largest resident set of each of its processes, added up; pages that two share count twice."""
        return sum(_peak_bytes(pid) for pid in _family(self.pid))

    def last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return " | ".join(line.strip() for line in lines[-3:])

    def end(self) -> None:
        """End the process and everything that it started, by force where asking is not enough."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextlib.contextmanager
def started(server: Server) -> Iterator[tuple[RunningServer, float]]:
    """Run a server until the block ends; gives it and the seconds from process start to its first answer.

    Raises:
        ServerFailedError: it gave none.
    """
    with tempfile.NamedTemporaryFile(prefix=f"{server.key}-", suffix=".log") as log:
        port = _free_port()
        begun = time.monotonic()
        process = subprocess.Popen(
            server.command(port),
            cwd=REPOSITORY,
            env=server.full_environment(port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        running = RunningServer(server, process, port, Path(log.name))
        try:
            running.wait_for_an_answer()
            yield running, time.monotonic() - begun
        finally:
            running.end()


def _check_one_token(answer: httpx.Response) -> None:
    counted = answer.json().get("usage", {}).get("completion_tokens")
    if counted != 1:
        raise ServerFailedError(f"its first answer has {counted} tokens, 1 was asked for: {answer.text[:300]}")


def _family(pid: int) -> list[int]:
    """The process and all that descend from it."""
    family = [pid]
    for member in family:
        for task in Path(f"/proc/{member}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                family += [int(child) for child in task.read_text(encoding="ascii").split()]
    return family


def _peak_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):  # it has ended meanwhile
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
