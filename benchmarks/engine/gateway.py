"""The real gateway as a process: started, waited for, and asked by the kernel what it used."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any

_REPOSITORY = Path(__file__).parents[2]
_PATIENCE_S = 60.0


class GatewayFailedError(Exception):
    """The gateway ended before it was ready; the message has what it said last."""


class Gateway:
    """`python -m llm_gateway` with this environment and some variables more. A context manager, which ends it."""

    def __init__(self, port: int = 0, **variables: str) -> None:
        """Start it; nothing is waited for."""
        self.port = port or _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        variables = {"GATEWAY_PORT": str(self.port), "LOG_FORMAT": "json", "LOG_LEVEL": "info", **variables}
        self._started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "llm_gateway"],
            cwd=_REPOSITORY,
            env=os.environ | variables,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Gateway":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.send_signal(signal.SIGTERM)  # the second time it does not wait for what runs
        try:
            self._process.wait(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_until_ready(self) -> tuple[float, dict[str, Any]]:
        """Return the seconds from the process's start to READY, and the line of its log that says so.

        Raises:
            GatewayFailedError: it ended instead.
        """
        said = ""
        assert self._process.stderr is not None
        for said in self._process.stderr:
            line = _parsed(said)
            if line.get("event") == "ready":
                ready_s = time.perf_counter() - self._started
                # A pipe that nobody empties fills up after some hundred requests.
                Thread(target=deque, args=(self._process.stderr, 0), daemon=True).start()
                return ready_s, line
        raise GatewayFailedError(f"the gateway ended with code {self._process.wait()}; it said: {said.strip()}")

    def cpu_s(self) -> tuple[float, float]:
        """Return the CPU seconds so far of the gateway's own process, and of its worker."""
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return _cpu_s(pid), sum(_cpu_s(int(child)) for child in children)


def _cpu_s(pid: int) -> float:
    """User and system time, the fields 14 and 15 of proc_pid_stat(5), counted behind the name in brackets."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _parsed(line: str) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return parsed


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
