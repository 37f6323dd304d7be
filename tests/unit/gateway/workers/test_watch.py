"""When an engine counts as stuck, by looks that the test takes."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from llm_gateway.admission.permits import Places
from llm_gateway.generation import Sampling, SequenceRequest
from llm_gateway.workers.client import WorkerClient
from llm_gateway.workers.protocol import CacheCleared, ClearingCache, to_frame
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


class _Wire:
    """A transport to a worker that hears everything and says nothing."""

    def write(self, _frame: bytes) -> None:
        """Take it."""


def _client() -> WorkerClient:
    client = WorkerClient()
    client.connection_made(cast("asyncio.BaseTransport", _Wire()))
    return client


def _sequence(sequence_id: int, top_k: int = 0) -> SequenceRequest:
    return SequenceRequest(
        sequence_id=sequence_id, prompt_token_ids=[1], max_tokens=1, sampling=Sampling(top_k=top_k), stop_token_ids=[]
    )


async def test_clients_that_come_and_go_do_not_hide_that_nothing_is_taken_up() -> None:
    client, permit = _client(), Places(1).gateways_own()
    for sequence_id in range(1, 4):
        client.generate(permit, [_sequence(sequence_id)])
        client.cancel([sequence_id])
    assert client.waits_for_a_step
    assert client.signs_of_life == 1


async def test_nobody_waits_for_a_step_while_the_model_is_loaded_again_unasked() -> None:
    client = _client()
    client.generate(Places(1).gateways_own(), [_sequence(1)])
    client.data_received(to_frame(ClearingCache()))
    assert not client.waits_for_a_step
    client.data_received(to_frame(CacheCleared(0)))
    assert client.waits_for_a_step


async def test_a_cache_that_was_cleared_while_somebody_asked_for_it_is_clear() -> None:
    client = _client()
    asking = asyncio.create_task(client.clear_cache())
    await asyncio.sleep(0)
    for freed_bytes in (7, 5):
        client.data_received(to_frame(CacheCleared(freed_bytes)))
    assert await asking == 7


async def test_what_cannot_be_said_to_a_worker_is_not_waited_for() -> None:
    client = _client()
    with pytest.raises(OverflowError):
        client.generate(Places(1).gateways_own(), [_sequence(1, top_k=1 << 70)])
    assert not client.waits_for_a_step
