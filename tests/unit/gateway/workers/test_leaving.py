"""In the worker: what nobody wants any more costs no further step."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_gateway.engines.fake_engine import FakeEngine
from llm_gateway.generation import Sampling, SequenceRequest, TokenChunk
from llm_gateway.workers.protocol import Cancel, ClearCache, EngineOptions, Generate, Produced, ToGateway
from tests.support.workplace import Workplace

OPTIONS = EngineOptions(
    num_threads=1,
    kv_cache_tokens=1024,
    kv_cache_precision="f32",
    inference_precision="f32",
    max_num_seqs=8,
    max_batched_tokens=256,
    prefix_caching=False,
)


@pytest.fixture
def workplace() -> Iterator[Workplace]:
    place = Workplace(FakeEngine(Path("anywhere"), OPTIONS))
    yield place
    place.close()


def _sequence(sequence_id: int) -> SequenceRequest:
    return SequenceRequest(
        sequence_id=sequence_id,
        prompt_token_ids=[5, 6, 7],
        max_tokens=1000,
        sampling=Sampling(temperature=0),
        stop_token_ids=[],
    )


def _chunks(said: list[ToGateway]) -> list[TokenChunk]:
    return [chunk for message in said if isinstance(message, Produced) for chunk in message.chunks]


def test_a_sequence_that_is_cancelled_costs_no_further_step(workplace: Workplace) -> None:
    workplace.tell(Generate([_sequence(1)]))
    assert len(_chunks(workplace.turn())) == 1
    steps = workplace.engine.num_steps
    workplace.tell(Cancel([1]))
    workplace.worker.turn()
    assert not workplace.engine.has_work()
    assert workplace.engine.num_steps == steps


def test_of_those_that_share_a_step_only_who_stays_is_computed(workplace: Workplace) -> None:
    workplace.tell(Generate([_sequence(1), _sequence(2)]))
    assert {chunk.sequence_id for chunk in _chunks(workplace.turn())} == {1, 2}
    workplace.tell(Cancel([1]))
    assert {chunk.sequence_id for chunk in _chunks(workplace.turn())} == {2}


def test_a_sequence_that_is_cancelled_before_it_began_is_never_begun(workplace: Workplace) -> None:
    workplace.tell(Generate([_sequence(1)]))
    workplace.turn()
    workplace.tell(ClearCache())
    workplace.tell(Generate([_sequence(2)]))  # held back until the cache is clear
    workplace.turn()
    workplace.tell(Cancel([1, 2]))
    assert _chunks(workplace.turn()) == []
    assert not workplace.engine.has_work()


def test_every_step_is_told_of(workplace: Workplace) -> None:
    workplace.tell(Generate([_sequence(1)]))
    said = [message for _ in range(3) for message in workplace.turn() if isinstance(message, Produced)]
    assert [message.num_steps for message in said] == [1, 1, 1]
