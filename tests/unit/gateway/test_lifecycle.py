import itertools

import pytest

from llm_gateway.errors import MAX_RETRY_AFTER_S
from llm_gateway.lifecycle import Lifecycle, Phase
from llm_gateway.models.figures import Figures

FIGURES = Figures(first_token_ms=1.0, tokens_per_s=1.0, memory_bytes=1, num_threads=1, context_tokens=1, num_prompts=1)
TO_READY = (Phase.VERIFYING, Phase.LOADING, Phase.WARMING_UP)


def _walk(*phases: Phase) -> Lifecycle:
    lifecycle = Lifecycle()
    for phase in phases:
        lifecycle.move_to(phase)
    return lifecycle


def test_ready_follows_nothing_but_a_warm_up() -> None:
    for before in itertools.chain([()], itertools.accumulate([(phase,) for phase in TO_READY[:-1]])):
        with pytest.raises(RuntimeError, match="is not followed by ready"):
            _walk(*before).become_ready(FIGURES)
    lifecycle = _walk(*TO_READY)
    lifecycle.become_ready(FIGURES)
    assert lifecycle.accepts_requests
    assert lifecycle.figures == FIGURES


def test_where_models_load_on_demand_requests_are_let_in_until_something_has_failed() -> None:
    lifecycle = _walk(Phase.VERIFYING)
    assert not lifecycle.accepts_requests
    again = (Phase.ON_DEMAND, Phase.LOADING, Phase.VERIFYING, Phase.ON_DEMAND, Phase.LOADING, Phase.WARMING_UP)
    for phase in again:
        lifecycle.move_to(phase)
        assert lifecycle.accepts_requests, phase
    for phase in (Phase.FAILED, Phase.LOADING, Phase.WAITING_FOR_WEIGHTS, Phase.VERIFYING):
        lifecycle.move_to(phase)
        assert not lifecycle.accepts_requests, phase


def test_where_models_are_kept_loaded_requests_are_let_in_when_it_is_ready() -> None:
    for steps in range(len(TO_READY) + 1):
        assert not _walk(*TO_READY[:steps]).accepts_requests


def test_draining_is_the_last_phase() -> None:
    lifecycle = _walk(Phase.DRAINING)
    for phase in Phase:
        with pytest.raises(RuntimeError):
            lifecycle.move_to(phase)


def test_every_phase_can_fail_or_drain() -> None:
    for end in (Phase.FAILED, Phase.DRAINING):
        for steps in range(len(TO_READY) + 1):
            assert _walk(*TO_READY[:steps], end).phase is end


def test_retry_after_follows_the_estimate_and_stays_between_a_second_and_a_minute() -> None:
    lifecycle = _walk(Phase.VERIFYING, Phase.LOADING)
    for expected_s, retry_after_s in ((0.0, 1), (12.2, 12), (4000.0, MAX_RETRY_AFTER_S)):
        lifecycle.expect(expected_s)
        assert lifecycle.not_ready().retry_after_s == retry_after_s


def test_progress_is_unknown_without_an_estimate_and_never_done_before_the_end() -> None:
    lifecycle = _walk(Phase.VERIFYING, Phase.LOADING)
    assert lifecycle.progress is None
    lifecycle.expect(0.0)
    assert lifecycle.progress == 0.99


async def test_whoever_waits_for_a_change_gets_it() -> None:
    import asyncio

    lifecycle = Lifecycle()
    waiting = asyncio.ensure_future(lifecycle.wait_for_change())
    await asyncio.sleep(0)
    lifecycle.move_to(Phase.VERIFYING)
    await waiting
