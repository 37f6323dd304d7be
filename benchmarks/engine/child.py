"""An engine in a process of its own, with the environment of the gateway's worker; asked over a socket."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Concatenate, ParamSpec, TypeVar

from benchmarks.engine.setup import Setup
from llm_gateway.workers.process import worker_environment

P = ParamSpec("P")
R = TypeVar("R")


class EngineFailedError(Exception):
    """The engine's process could not do what it was asked; the message says why."""


class EngineChild:
    """A loaded engine. Use it as a context manager, which ends its process."""

    def __init__(self, setup: Setup) -> None:
        """Start the process and load.

        Raises:
            EngineFailedError: it cannot be loaded.
        """
        ours, theirs = socket.socketpair()
        started = time.perf_counter()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.engine.serve", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=worker_environment(setup.options.num_threads),
                stdout=subprocess.DEVNULL,
            )
        self._connection = Connection(ours.detach())
        self._connection.send(setup)
        self.construct_s: float = self._reply()
        """Seconds that the constructor took."""
        self.start_s = time.perf_counter() - started
        """Seconds from the process's start until it was constructed, imports and all."""

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.wait()

    def __enter__(self) -> "EngineChild":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def run(self, work: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `work(driver, ...)` in the engine's process.

        Raises:
            EngineFailedError: it raised, or the process is gone.
        """
        self._connection.send((work, args, kwargs))
        result: R = self._reply()
        return result

    def _reply(self) -> Any:  # noqa: ANN401  each question has a reply of its own
        try:
            failure, reply = self._connection.recv()
        except (EOFError, ConnectionError) as error:
            raise EngineFailedError(f"the engine's process ended with code {self._process.wait()}") from error
        if failure:
            raise EngineFailedError(failure)
        return reply
