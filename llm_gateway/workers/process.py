"""Starts, watches and ends the child process of one worker.

The child gets one end of a socket pair, a thread count that is set before any library starts, no token and no other
secret, and a process group of its own, so that a Ctrl-C meant for the gateway lets it finish what runs.
"""

import asyncio
import os
import socket
import sys
from collections import deque
from contextlib import suppress
from typing import Final

import structlog

from llm_gateway.settings import inherited_environment
from llm_gateway.workers.client import WorkDone, WorkerClient

_log = structlog.get_logger()

_KILL_AFTER_S: Final = 5.0
_READ_BYTES: Final = 1 << 14
_NICENESS: Final = 5
"""The gateway answers health checks on the same cores that compute, and needs very little of them: it goes first."""
_LIBRARY_VARIABLES: Final = {
    "vllm": {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # else it computes in a further process
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # which cores there are, the container decides
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait take the cores from those that work
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_PLUGINS": "",  # no code that somebody else has installed
        "VLLM_LOGGING_STREAM": "ext://sys.stderr",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_CACHE_ROOT": "/tmp/vllm",  # noqa: S108 - the one place that can be written in the container
        "GLOO_SOCKET_IFNAME": "lo",
    },
}


class WorkerProcess:
    """A running child and the client that speaks with it."""

    def __init__(self, process: asyncio.subprocess.Process, client: WorkerClient) -> None:
        self._process = process
        self.client = client
        self.last_words: deque[str] = deque(maxlen=5)
        self._listening = asyncio.create_task(self._repeat_what_it_says())

    @classmethod
    async def start(cls, num_threads: int, engine: str = "", work_done: WorkDone | None = None) -> "WorkerProcess":
        """Start a child that waits for its first message; what it does is added to `work_done`."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "llm_gateway.workers.main",
                str(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                env=worker_environment(num_threads) | library_variables(engine),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        with suppress(ProcessLookupError):  # it was killed already, which its socket tells
            os.setpriority(os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS)
        _, client = await asyncio.get_running_loop().create_connection(lambda: WorkerClient(work_done), sock=ours)
        return cls(process, client)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ended(self) -> str:
        """Wait until the process has ended, and say how, in words for the log."""
        await self.client.disconnected.wait()
        code = await self._process.wait()
        await asyncio.wait({self._listening})  # whoever stops waiting does not stop the listening
        return _how_it_ended(code, list(self.last_words))

    async def stop(self, farewell: str) -> None:
        """End the process: by closing the socket, and by force where that is not enough."""
        self.client.close(farewell)
        try:
            async with asyncio.timeout(_KILL_AFTER_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await asyncio.wait({self._listening})

    def kill(self, farewell: str) -> None:
        """End a process that does not listen any more, at once; `farewell` is what open requests are told."""
        self.client.close(farewell)
        with suppress(ProcessLookupError):  # it may have ended by itself by now
            self._process.kill()

    async def _repeat_what_it_says(self) -> None:
        """Bring the libraries' own lines into the log, one by one, and keep the last for when it dies."""
        assert self._process.stderr is not None
        while said := await self._process.stderr.read(_READ_BYTES):
            for line in said.decode(errors="replace").splitlines():
                self.last_words.append(line)
                _log.debug("worker said", line=line, worker=self.pid)


def library_variables(engine: str) -> dict[str, str]:
    """The variables that an engine's library reads while it is imported."""
    return _LIBRARY_VARIABLES.get(engine, {})


def worker_environment(num_threads: int) -> dict[str, str]:
    """The whole environment of a worker, but for what its engine's library wants."""
    threads = str(num_threads)
    return inherited_environment() | {
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _how_it_ended(code: int, last_words: list[str]) -> str:
    how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
    if code == -9:
        how += " (SIGKILL: often the kernel, out of memory)"
    return f"the worker {how}" + (f"; its last words: {' | '.join(last_words)}" if last_words else "")
