"""When an engine counts as stuck, by looks that the test takes."""

import asyncio
from collections.abc import Callable
from typing import cast

from llm_gateway.workers.client import WorkerClient
from llm_gateway.workers.watch import until_stuck


class Watched:
    """The two things that are watched, and what happens between the looks."""

    def __init__(self, happens: Callable[["Watched", int], None]) -> None:
        self.waits_for_a_step = True
        self.signs_of_life = 0
        self.slept: list[float] = []
        self._happens = happens

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._happens(self, len(self.slept))

    async def until_stuck(self, stall_s: float) -> None:
        await until_stuck(cast("WorkerClient", self), stall_s, self.sleep)


async def test_an_engine_that_never_finishes_a_step_is_stuck_after_the_time_that_was_set() -> None:
    watched = Watched(lambda _watched, _look: None)
    await watched.until_stuck(80)
    assert sum(watched.slept) == 80


async def test_a_step_begins_the_count_anew() -> None:
    def steps_once(watched: Watched, look: int) -> None:
        watched.signs_of_life += look == 7

    watched = Watched(steps_once)
    await watched.until_stuck(80)
    assert sum(watched.slept) == 70 + 80


async def test_an_engine_without_work_is_not_stuck() -> None:
    def has_work_late(watched: Watched, look: int) -> None:
        watched.waits_for_a_step = look > 100

    watched = Watched(has_work_late)
    await watched.until_stuck(8)
    assert len(watched.slept) == 108


async def test_zero_is_never() -> None:
    watched = Watched(lambda _watched, _look: None)
    watching = asyncio.ensure_future(watched.until_stuck(0))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not watching.done()
    watching.cancel()
    assert watched.slept == []
