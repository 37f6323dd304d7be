"""What is particular to the OpenVINO engine, with the demo model; the contract itself is in test_conformance.py."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from llm_gateway.engines.base import Engine, RequestRefusedError, StepFailedError
from llm_gateway.engines.openvino_engine import OpenVinoEngine
from llm_gateway.generation import FinishReason, Sampling, SequenceRequest, TokenChunk
from llm_gateway.models.catalog import CatalogEntry, find
from llm_gateway.prompt.chat_template import ChatTemplate
from llm_gateway.prompt.tokenizer import PromptTokenizer
from llm_gateway.workers.protocol import (
    Begun,
    CacheCleared,
    ClearingCache,
    EngineOptions,
    Generate,
    Produced,
    Refused,
)
from model_store.layout import StoreLayout
from tests.engines.conformance import QUESTIONS, request
from tests.support.workplace import Workplace


def _entry(store: Path, quantization: str) -> CatalogEntry:
    entry = find(StoreLayout(store), "demo", quantization)
    assert entry is not None
    return entry


def _engine(entry: CatalogEntry, **changes: object) -> OpenVinoEngine:
    options: dict[str, object] = {
        "num_threads": 1,
        "kv_cache_tokens": 8192,
        "kv_cache_precision": "f16",
        "inference_precision": "f32",
        "max_num_seqs": 64,
        "max_batched_tokens": 256,
        "prefix_caching": True,
    }
    return OpenVinoEngine(entry.folder, EngineOptions(**(options | changes)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def entry(demo_store: Path) -> CatalogEntry:
    return _entry(demo_store, "none")


@pytest.fixture(scope="module")
def engine(entry: CatalogEntry) -> OpenVinoEngine:
    return _engine(entry)


@pytest.fixture(scope="module")
def tokenizer(entry: CatalogEntry) -> PromptTokenizer:
    return PromptTokenizer.load(entry.folder)


@pytest.fixture(scope="module")
def prompts(entry: CatalogEntry, tokenizer: PromptTokenizer) -> list[list[int]]:
    template = ChatTemplate.load(entry.folder)
    assert template is not None
    texts = [template.render([{"role": "user", "content": question}]) for question in QUESTIONS]
    return [tokenizer.encode(text, add_special_tokens=False) for text in texts]


def _run(engine: Engine, requests: Sequence[SequenceRequest]) -> dict[int, tuple[list[int], FinishReason | None]]:
    """Begin them all, step until nothing is left, and return what each produced."""
    for one in requests:
        engine.begin(one)
    produced: dict[int, list[int]] = {one.sequence_id: [] for one in requests}
    finish: dict[int, FinishReason | None] = dict.fromkeys(produced)
    while engine.has_work():
        for chunk in engine.step():
            assert finish[chunk.sequence_id] is None, "a sequence ends once"
            produced[chunk.sequence_id] += chunk.token_ids
            finish[chunk.sequence_id] = chunk.finish
    return {sequence_id: (produced[sequence_id], finish[sequence_id]) for sequence_id in produced}


def test_logprobs_are_those_of_the_model_before_any_temperature(
    engine: OpenVinoEngine, prompts: list[list[int]], tokenizer: PromptTokenizer
) -> None:
    plain = _chunks(engine, request(0, prompts[0], tokenizer, logprobs=True))
    cold = Sampling(temperature=0.1, seed=1)
    sampled = _chunks(engine, request(0, prompts[0], tokenizer, logprobs=True, sampling=cold))
    assert [chunk.token_ids for chunk in sampled] == [chunk.token_ids for chunk in plain]
    for one, other in zip(sampled, plain, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-3)


def test_cached_tokens_are_what_the_engine_does_not_compute_again(
    entry: CatalogEntry, tokenizer: PromptTokenizer
) -> None:
    """With 32 tokens a step, the steps until the first token say how much of a prompt was computed."""
    engine = _engine(entry, max_batched_tokens=32, kv_cache_tokens=1024)
    shared = list(range(300, 556))
    assert _cached_and_steps(engine, request(0, [*shared, 5, 6, 7], tokenizer, max_tokens=2)) == (0, 9)
    assert _cached_and_steps(engine, request(1, [*shared, 8, 9], tokenizer, max_tokens=2)) == (256, 1)
    assert _cached_and_steps(engine, request(2, [*shared[:128], 8, 9], tokenizer, max_tokens=2)) == (128, 1)
    filler = list(range(600, 1600))
    _run(engine, [request(3, filler, tokenizer, max_tokens=2)])
    assert _cached_and_steps(engine, request(4, [*shared, 8, 9], tokenizer, max_tokens=2)) == (0, 9)
    engine.clear_cache()
    assert _cached_and_steps(engine, request(5, [*shared, 8, 9], tokenizer, max_tokens=2)) == (0, 9)


def _cached_and_steps(engine: OpenVinoEngine, request: SequenceRequest) -> tuple[int, int]:
    """How many tokens were said to be cached, and after how many steps the first token came."""
    cached, steps, first = engine.begin(request), 0, 0
    while engine.has_work():
        steps += 1
        if engine.step() and not first:
            first = steps
    return cached, first


def _chunks(engine: Engine, request: SequenceRequest) -> list[TokenChunk]:
    engine.begin(request)
    chunks: list[TokenChunk] = []
    while engine.has_work():
        chunks += engine.step()
    return chunks


def test_a_format_that_the_library_cannot_read_ends_what_was_under_way_and_the_engine_goes_on(
    engine: OpenVinoEngine, prompts: list[list[int]], tokenizer: PromptTokenizer
) -> None:
    alone = _run(engine, [request(0, prompts[0], tokenizer)])
    engine.begin(request(0, prompts[0], tokenizer))
    engine.begin(request(1, prompts[1], tokenizer, grammar="root ::= nowhere"))
    with pytest.raises(StepFailedError) as failed:
        engine.step()
    assert (list(failed.value.refused), list(failed.value.lost)) == ([1], [0])
    assert "\n" not in failed.value.refused[1]
    assert failed.value.needs_clearing
    engine.clear_cache()
    assert _run(engine, [request(0, prompts[0], tokenizer)]) == alone


def test_after_such_a_format_the_gateway_is_told_first_and_that_the_model_is_being_loaded_again(
    engine: OpenVinoEngine, prompts: list[list[int]], tokenizer: PromptTokenizer
) -> None:
    """So that loading again, which may take longer than any step, is not taken for an engine that is stuck."""
    workplace = Workplace(engine)
    workplace.tell(Generate([request(0, prompts[0], tokenizer, grammar="root ::= nowhere")]))
    assert [type(message) for message in workplace.turn()] == [Begun, Refused, ClearingCache, CacheCleared]
    workplace.tell(Generate([request(1, prompts[0], tokenizer)]))
    assert [type(message) for message in workplace.turn()] == [Begun, Produced]
    workplace.close()
    engine.cancel(1)
    engine.step()  # a cancelled sequence keeps its blocks until one has passed


def test_what_the_library_refuses_is_one_sentence(engine: OpenVinoEngine, tokenizer: PromptTokenizer) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        engine.begin(request(0, [], tokenizer))
    assert "\n" not in str(refused.value)
    assert not engine.has_work()


def test_sequences_that_outgrow_the_cache_together_all_finish(entry: CatalogEntry, tokenizer: PromptTokenizer) -> None:
    """The library preempts and recomputes: nobody is lost."""
    small = _engine(entry, kv_cache_tokens=512)
    prompt = tokenizer.encode("warm " * 40, add_special_tokens=True)
    requests = [request(index, prompt, tokenizer, max_tokens=200, stop_token_ids=[]) for index in range(4)]
    assert {len(token_ids) for token_ids, _ in _run(small, requests).values()} == {200}


def test_int8_answers_as_full_precision_does(
    demo_store: Path, engine: OpenVinoEngine, prompts: list[list[int]], tokenizer: PromptTokenizer
) -> None:
    """Greedy answers to the handbook's questions are the same text; the manifest has the finer measure."""
    int8 = _engine(_entry(demo_store, "int8"), kv_cache_precision="u8", quantization="int8")
    requests = [request(index, prompt, tokenizer) for index, prompt in enumerate(prompts)]
    full, quantized = _run(engine, requests), _run(int8, requests)
    same = sum(full[index] == quantized[index] for index in full)
    assert same >= len(prompts) - 1
    agreement = _entry(demo_store, "int8").manifest.agreement
    assert agreement is not None
    assert agreement.same_next_token > 0.95


def test_a_cancelled_sequence_gives_its_blocks_back_within_one_step(
    entry: CatalogEntry, tokenizer: PromptTokenizer, prompts: list[list[int]]
) -> None:
    engine = _engine(entry, kv_cache_tokens=512, prefix_caching=False)
    engine.begin(request(0, prompts[0], tokenizer, max_tokens=450, stop_token_ids=[]))
    for _ in range(400):
        engine.step()
    engine.cancel(0)
    engine.begin(request(1, prompts[1], tokenizer, max_tokens=450, stop_token_ids=[]))
    before, produced = engine.num_steps, _run_to_the_end(engine)
    assert len(produced[1]) == 450, "the cache has room for one such sequence, and not for two"
    assert engine.num_steps - before <= 452, "it never had to wait for room"


def test_what_runs_goes_first_where_the_cache_is_too_small_for_all(
    entry: CatalogEntry, tokenizer: PromptTokenizer, prompts: list[list[int]]
) -> None:
    engine = _engine(entry, kv_cache_tokens=512, prefix_caching=False)
    for number in range(2):
        engine.begin(request(number, prompts[number], tokenizer, max_tokens=400, stop_token_ids=[]))
    while not engine.step():
        pass
    before, first = engine.num_steps, 0
    while first < 390:  # the other one has given its blocks up by then
        first += sum(len(chunk.token_ids) for chunk in engine.step() if chunk.sequence_id == 0)
    assert engine.num_steps - before == first, "it had a token in each of the steps"
    produced = _run_to_the_end(engine)
    assert not engine.has_work()
    assert produced[1], "the other one is computed to its end, too"


def _run_to_the_end(engine: OpenVinoEngine) -> dict[int, list[int]]:
    produced: dict[int, list[int]] = {}
    while engine.has_work():
        for chunk in engine.step():
            produced.setdefault(chunk.sequence_id, []).extend(chunk.token_ids)
    return produced
