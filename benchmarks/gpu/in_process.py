"""A contender in a process of its own, so that its peak of GPU memory is its own and it can be ended whole."""

import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.gpu.runners import RUNNERS
from benchmarks.gpu.workload import Answered, ContenderFailedError, Setup
from benchmarks.prompts import Prompt

PATIENCE_S = 900.0
"""Longest that one load or one batch may take."""


class InProcess:
    """The engine or plain `generate`, loaded and asked over a pipe."""

    def __init__(self, name: str, setup: Setup) -> None:
        """Load it.

        Raises:
            ContenderFailedError: it cannot be loaded.
        """
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, name, setup), daemon=True)
        start = time.perf_counter()
        self._process.start()
        theirs.close()
        try:
            self._reply()
        except ContenderFailedError:
            self.close()
            raise
        self.load_s = time.perf_counter() - start

    def answer(self, prompts: Sequence[Prompt], output_tokens: int) -> Answered:
        """Answer all prompts.

        Raises:
            ContenderFailedError: it did not.
        """
        answered: Answered = self._ask((list(prompts), output_tokens))
        return answered

    def peak_bytes(self) -> int | None:
        """Most GPU memory that torch had handed out in its process at once; None without a GPU, or a process."""
        try:
            peak: int | None = self._ask(None)
        except ContenderFailedError:
            return None  # what it failed of is told where it failed
        return peak

    def close(self) -> None:
        self._connection.close()
        self._process.join(timeout=30)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _ask(self, question: tuple[list[Prompt], int] | None) -> Any:  # noqa: ANN401  as below
        try:
            self._connection.send(question)
        except ConnectionError as error:
            raise ContenderFailedError(f"{self.name}'s process is gone") from error
        return self._reply()

    def _reply(self) -> Any:  # noqa: ANN401  each question has a reply of its own
        try:
            if not self._connection.poll(PATIENCE_S):
                raise ContenderFailedError(f"{self.name} has not answered within {PATIENCE_S:.0f} s")
            failure, reply = self._connection.recv()
        except (EOFError, ConnectionError) as error:
            self._process.join(timeout=5)  # its end of the pipe closes a little before it has an exit code
            raise ContenderFailedError(f"{self.name}'s process ended with {self._process.exitcode}") from error
        if failure:
            raise ContenderFailedError(f"{self.name}: {failure}")
        return reply


def _serve(connection: Connection, name: str, setup: Setup) -> None:
    """Load and say so, then answer until the other end closes."""
    try:
        runner = RUNNERS[name](setup)
    except Exception as error:  # whatever a library raises is this contender's result
        connection.send((_sentence(error), None))
        return
    connection.send(("", None))
    while True:
        try:
            question = connection.recv()
        except EOFError:
            return
        try:
            reply = ("", _peak_bytes() if question is None else runner.answer(*question))
        except Exception as error:
            reply = (_sentence(error), None)
        connection.send(reply)


def _sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines() or ["no more is known"]
    return f"{type(error).__name__}: {lines[0]}"


def _peak_bytes() -> int | None:
    import torch

    return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else None
