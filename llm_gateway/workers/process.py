"""Starts, watches and ends the child process of one worker.

The child gets one end of a socket pair, a thread count that is set before any library starts, no token and no other
secret, and a process group of its own, so that a Ctrl-C meant for the gateway lets it finish what runs. Libraries that
start processes themselves have them in that group, and none of it outlives the child.
"""

import asyncio
import os
import signal
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
_LAST_WORDS_S: Final = 5.0
"""How long a pipe or a socket is waited for that something outside of the group still holds."""
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

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        client: WorkerClient,
        stderr: asyncio.StreamReader,
        pipe: asyncio.ReadTransport,
    ) -> None:
        self._process = process
        self._stderr = stderr
        self._pipe = pipe
        self.client = client
        self.last_words: deque[str] = deque(maxlen=5)
        self._listening = asyncio.create_task(self._repeat_what_it_says())

    @classmethod
    async def start(cls, num_threads: int, engine: str = "", work_done: WorkDone | None = None) -> "WorkerProcess":
        """Start a child that waits for its first message; what it does is added to `work_done`."""
        ours, theirs = socket.socketpair()
        # A pipe that is not asyncio's: before that has closed, its process would not count as ended.
        heard, said = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
        with theirs, said:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "llm_gateway.workers.main",
                str(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                env=worker_environment(num_threads) | library_variables(engine),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
            )
        with suppress(ProcessLookupError):  # it was killed already, which its socket tells
            os.setpriority(os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS)
        _, client = await asyncio.get_running_loop().create_connection(lambda: WorkerClient(work_done), sock=ours)
        stderr = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(stderr)
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, heard)
        return cls(process, client, stderr, pipe)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ended(self) -> str:
        """Wait until the process has ended, and say how, in words for the log."""
        # Either alone may come late: processes that it started can hold its socket, and it can hang on its way out.
        signs = {asyncio.create_task(self.client.disconnected.wait()), asyncio.create_task(self._process.wait())}
        try:
            await asyncio.wait(signs, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for sign in signs:
                sign.cancel()
        return _how_it_ended(await self._end(), list(self.last_words))

    async def stop(self, farewell: str) -> None:
        """End the process: by closing the socket, and by force where that is not enough."""
        self.client.close(farewell)
        await self._end()
        self._pipe.close()

    def kill(self, farewell: str) -> None:
        """End a process that does not listen any more, at once; `farewell` is what open requests are told."""
        self.client.close(farewell)
        self._kill_group()

    async def _end(self) -> int:
        """Wait for the process, by force after a while, end what it has left behind, and hear out what they said.

        Returns the exit code.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_KILL_AFTER_S):
                await self._process.wait()
        self._kill_group()
        code = await self._process.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await self.client.disconnected.wait()
                await asyncio.wait({self._listening})  # whoever stops waiting does not stop the listening
        return code

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):  # all of it may have ended by itself by now
            os.killpg(self.pid, signal.SIGKILL)

    async def _repeat_what_it_says(self) -> None:
        """Bring the libraries' own lines into the log, one by one, and keep the last for when it dies."""
        while said := await self._stderr.read(_READ_BYTES):
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
