"""Requests that end while they wait: for a thread that prepares a prompt, or for the model's memory."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any, cast

import pytest

from llm_gateway import generator as generator_module
from llm_gateway.errors import DeadlinePassedError
from llm_gateway.generation import GenerationRequest, PromptSource
from llm_gateway.generator import Generator
from llm_gateway.lifecycle import Lifecycle, Phase
from llm_gateway.models.figures import Figures
from llm_gateway.models.pool import ModelPool
from llm_gateway.settings import Settings
from llm_gateway.telemetry.endings import Endings
from llm_gateway.telemetry.request_record import Outcome, RequestRecord

FIGURES = Figures(first_token_ms=1.0, tokens_per_s=1.0, memory_bytes=1, num_threads=1, context_tokens=1, num_prompts=1)
REQUEST = GenerationRequest(request_id="one", prompt=PromptSource(text="any"))


class Preparing:
    """A thread that prepares for as long as the test likes."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()

    def __call__(self, _request: object, _model: object) -> object:
        self.begun.set()
        self.may_end.wait(30)
        raise AssertionError("nobody is there to take it")


@pytest.fixture
def preparing(monkeypatch: pytest.MonkeyPatch) -> Preparing:
    preparing = Preparing()
    monkeypatch.setattr(generator_module, "prepare_request", preparing)
    return preparing


def _generator(ended: Counter[Outcome], **settings: Any) -> Generator:  # noqa: ANN401 - settings have many types
    lifecycle = Lifecycle()
    for phase in (Phase.VERIFYING, Phase.LOADING, Phase.WARMING_UP):
        lifecycle.move_to(phase)
    lifecycle.become_ready(FIGURES)
    pool = SimpleNamespace(get=lambda _name: SimpleNamespace())
    count: Callable[[Outcome], None] = lambda outcome: ended.update([outcome])  # noqa: E731
    return Generator(Settings(**settings), lifecycle, cast("ModelPool", pool), Endings(lambda: None, count))


async def _ask(generator: Generator, record: RequestRecord) -> None:
    async with aclosing(generator.answer(REQUEST, record)) as pieces:
        async for _ in pieces:
            pass


async def test_a_client_that_leaves_meanwhile_frees_its_place_at_once(preparing: Preparing) -> None:
    ended: Counter[Outcome] = Counter()
    generator = _generator(ended)
    record = RequestRecord("one", arrived=time.monotonic())
    asking = asyncio.ensure_future(_ask(generator, record))
    await asyncio.to_thread(preparing.begun.wait)
    assert generator.places.taken == 1
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert generator.places.taken == 0
    assert not preparing.may_end.is_set()
    preparing.may_end.set()
    assert record.outcome is Outcome.CANCELLED
    assert ended == {Outcome.CANCELLED: 1}


async def test_a_deadline_that_passes_meanwhile_frees_its_place_at_once(preparing: Preparing) -> None:
    ended: Counter[Outcome] = Counter()
    generator = _generator(ended, request_timeout_s=5)
    record = RequestRecord("one", arrived=time.monotonic() - 10)
    with pytest.raises(DeadlinePassedError):
        await _ask(generator, record)
    assert generator.places.taken == 0
    preparing.may_end.set()
    assert ended == {Outcome.FAILED: 1}


async def test_the_wish_for_the_memory_stays_as_long_as_somebody_waits_for_it() -> None:
    generator = _generator(Counter(), model_preload=False)
    waiting = [asyncio.ensure_future(generator.unload(_record())) for _ in range(2)]
    wanted = []
    for one in waiting:
        await asyncio.sleep(0)  # both have begun to wait
        one.cancel()
        await asyncio.wait({one})
        wanted.append(generator.unload_wanted.is_set())
    assert wanted == [True, False]


async def test_the_memory_is_waited_for_no_longer_than_a_request_may_take() -> None:
    generator = _generator(Counter(), model_preload=False, request_timeout_s=5)
    with pytest.raises(DeadlinePassedError, match="REQUEST_TIMEOUT_S"):
        await generator.unload(_record(ago_s=10))
    assert not generator.unload_wanted.is_set()


def _record(ago_s: float = 0) -> RequestRecord:
    return RequestRecord("one", arrived=time.monotonic() - ago_s)
