"""A worker's end, where its engine has started processes of its own that hold what it had open."""

import asyncio
import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_gateway.workers import process
from llm_gateway.workers.process import WorkerProcess

PATIENCE_MS = 30_000


@pytest.fixture(autouse=True)
def with_a_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Have every worker begin with a child that inherits its socket and its standard error, and never ends."""
    prefix = getattr(request, "param", "")
    child = f'{prefix} sh -c "echo begun >&2; exec sleep infinity"'
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\n{child} &\nexec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))


class _Child:
    """The process that the worker has started."""

    def __init__(self, pid: int) -> None:
        self._descriptor = os.pidfd_open(pid)

    def is_gone(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(PATIENCE_MS))

    def kill(self) -> None:
        signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def close(self) -> None:
        os.close(self._descriptor)


async def _start() -> tuple[WorkerProcess, _Child]:
    worker = await WorkerProcess.start(1)
    while not worker.last_words:  # noqa: ASYNC110 - it is the child that says that it has begun
        await asyncio.sleep(0)
    return worker, _Child(_only_child(worker.pid))


def _only_child(pid: int) -> int:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return int(child)


@pytest.fixture
def children() -> Iterator[list[_Child]]:
    found: list[_Child] = []
    yield found
    for child in found:
        child.close()


async def test_a_worker_that_dies_leaves_nothing_behind_and_its_end_is_told(children: list[_Child]) -> None:
    worker, child = await _start()
    children.append(child)
    os.kill(worker.pid, signal.SIGKILL)
    assert "was ended by signal 9" in await worker.ended()
    assert child.is_gone()
    await worker.stop("over")


async def test_a_worker_that_is_killed_because_it_is_stuck_takes_its_processes_along(children: list[_Child]) -> None:
    worker, child = await _start()
    children.append(child)
    os.kill(worker.pid, signal.SIGSTOP)
    worker.kill("stuck")
    assert "was ended by signal 9" in await worker.ended()
    assert child.is_gone()
    await worker.stop("over")


async def test_a_worker_that_is_stopped_ends_although_a_process_of_its_own_does_not(children: list[_Child]) -> None:
    worker, child = await _start()
    children.append(child)
    await worker.stop("the gateway is stopping")
    assert child.is_gone()


@pytest.mark.parametrize("with_a_child", ["setsid"], indirect=True)
async def test_whatever_has_left_the_group_and_holds_the_pipes_is_not_waited_for(
    children: list[_Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_LAST_WORDS_S", 0.05)
    worker, child = await _start()
    children.append(child)
    os.kill(worker.pid, signal.SIGKILL)
    assert "its last words: begun" in await worker.ended()
    await worker.stop("over")
    child.kill()
