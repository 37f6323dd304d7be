"""Starts the real gateway as users do, on a free port, and listens to its log: what it says is what tests wait for."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

REPOSITORY = Path(__file__).parents[2]
_PATIENCE_S = 90.0

LogLine = dict[str, Any]


class GatewayProcess:
    """A running `python -m llm_gateway`, its log and a client for it."""

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=_PATIENCE_S)
        self.log: list[LogLine] = []
        self._lines: queue.Queue[LogLine | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, event: str, **fields: object) -> LogLine:
        """Return the next line with this event and these fields; a gateway that ends without it fails the test."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            line = self._lines.get(timeout=max(0.001, deadline - time.monotonic()))
            assert line is not None, f"the gateway ended without saying {event} {fields}: {self.log}"
            if line.get("event") == event and all(line.get(key) == value for key, value in fields.items()):
                return line

    def wait_until_ready(self) -> LogLine:
        return self.wait_for("ready")

    def generate(self, prompt: str, **keys: object) -> httpx.Response:
        return self.client.post("/generate", json={"prompt": prompt, **keys})

    def children(self) -> list[int]:
        """The processes that it has started and that have not ended, of which none is left once it has ended itself."""
        pid = self.process.pid
        try:
            return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except OSError:
            return []

    def worker(self) -> int:
        """The only one of them."""
        (worker,) = self.children()
        return worker

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def exit_code(self) -> int:
        """Wait for the end, and for the last line."""
        code = self.process.wait(_PATIENCE_S)
        self._reader.join(_PATIENCE_S)
        return code

    def log_text(self) -> str:
        return "\n".join(json.dumps(line) for line in self.log)

    def stop(self) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.terminate()
            self.terminate()
        self.exit_code()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for raw in self.process.stderr:
            line = _parse(raw)
            self.log.append(line)
            self._lines.put(line)
        self._lines.put(None)


@contextmanager
def gateway(store: Path, **environment: str) -> Iterator[GatewayProcess]:
    """Run a gateway on a store; the environment holds nothing but what is given here."""
    port = free_port()
    process = start_gateway(store, port, subprocess.PIPE, **environment)
    running = GatewayProcess(process, port)
    try:
        yield running
    finally:
        running.stop()


def start_gateway(store: Path, port: int, log: int, **environment: str) -> "subprocess.Popen[str]":
    """Start the process alone; `log` is where its standard error goes."""
    settings = {"MODEL_STORE": str(store), "GATEWAY_PORT": str(port), "LOG_FORMAT": "json", **environment}
    return subprocess.Popen(
        [sys.executable, "-m", "llm_gateway"],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **settings},
        stderr=log,
        text=True,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _parse(raw: str) -> LogLine:
    try:
        line: LogLine = json.loads(raw)
    except json.JSONDecodeError:
        return {"event": "text", "text": raw.rstrip()}
    return line
