"""What one sequence produces, on its way from the worker to whoever waits for it."""

import asyncio

import pytest

from llm_gateway.errors import WorkerDiedError
from llm_gateway.generation import FinishReason, TokenChunk
from llm_gateway.workers.client import TokenStream


async def test_what_came_before_anybody_waited_is_taken_at_once_and_together() -> None:
    stream = TokenStream()
    stream.put(TokenChunk(1, [4]))
    stream.put(TokenChunk(1, [5, 6], FinishReason.LENGTH))

    assert await stream.next() == TokenChunk(1, [4, 5, 6], FinishReason.LENGTH)


async def test_whoever_waits_is_woken_once_for_all_that_came_in_one_turn() -> None:
    stream = TokenStream()
    waiting = asyncio.create_task(stream.next())
    await asyncio.sleep(0)
    stream.put(TokenChunk(1, [4]))
    stream.put(TokenChunk(1, [5]))

    assert (await waiting).token_ids == [4, 5]


async def test_a_failure_reaches_whoever_waits() -> None:
    stream = TokenStream()
    waiting = asyncio.create_task(stream.next())
    await asyncio.sleep(0)
    stream.fail(WorkerDiedError("it has ended"))

    with pytest.raises(WorkerDiedError):
        await waiting


async def test_a_failure_from_before_anybody_waited_is_not_lost() -> None:
    stream = TokenStream()
    stream.fail(WorkerDiedError("it has ended"))

    with pytest.raises(WorkerDiedError):
        await stream.next()


async def test_a_wait_that_was_cancelled_loses_nothing() -> None:
    stream = TokenStream()
    waiting = asyncio.create_task(stream.next())
    await asyncio.sleep(0)
    stream.put(TokenChunk(1, [4]))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert (await stream.next()).token_ids == [4]
