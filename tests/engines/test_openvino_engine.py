"""The OpenVINO engine through its contract, with the demo model: meaning, batching, endings, and precision."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from llm_gateway.engines.base import Engine, RequestRefusedError, StepFailedError
from llm_gateway.engines.openvino_engine import OpenVinoEngine
from llm_gateway.generation import FinishReason, Sampling, SequenceRequest, TokenChunk
from llm_gateway.models.catalog import CatalogEntry, find
from llm_gateway.prompt.chat_template import ChatTemplate
from llm_gateway.prompt.tokenizer import PromptTokenizer
from llm_gateway.workers.protocol import EngineOptions
from model_store.layout import StoreLayout

QUESTIONS = (
    "How do I change the port?",
    "Which profiles are there?",
    "What does the health check tell me?",
    "How do I serve my own model?",
    "Count from 1 to 10.",
    "What is the warm-up?",
)
GREEDY = Sampling(temperature=0)


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


def _request(sequence_id: int, prompt: Sequence[int], tokenizer: PromptTokenizer, **changes: object) -> SequenceRequest:
    fields: dict[str, object] = {
        "sequence_id": sequence_id,
        "prompt_token_ids": list(prompt),
        "max_tokens": 80,
        "sampling": GREEDY,
        "stop_token_ids": sorted(tokenizer.eos_token_ids),
    }
    return SequenceRequest(**(fields | changes))  # type: ignore[arg-type]


def _run(engine: Engine, requests: Sequence[SequenceRequest]) -> dict[int, tuple[list[int], FinishReason | None]]:
    """Begin them all, step until nothing is left, and return what each produced."""
    for request in requests:
        engine.begin(request)
    produced: dict[int, list[int]] = {request.sequence_id: [] for request in requests}
    finish: dict[int, FinishReason | None] = dict.fromkeys(produced)
    while engine.has_work():
        for chunk in engine.step():
            assert finish[chunk.sequence_id] is None, "a sequence ends once"
            produced[chunk.sequence_id] += chunk.token_ids
            finish[chunk.sequence_id] = chunk.finish
    return {sequence_id: (produced[sequence_id], finish[sequence_id]) for sequence_id in produced}


def test_batched_answers_equal_those_alone(
    engine: OpenVinoEngine, prompts: list[list[int]], tokenizer: PromptTokenizer
) -> None:
    together = _run(engine, [_request(index, prompt, tokenizer) for index, prompt in enumerate(prompts)])
    alone = [_run(engine, [_request(0, prompt, tokenizer)])[0] for prompt in prompts]
    assert [together[index] for index in range(len(prompts))] == alone


def test_a_cached_prefix_changes_no_answer(
    entry: CatalogEntry, engine: OpenVinoEngine, prompts: list[list[int]], tokenizer: PromptTokenizer
) -> None:
    cold = _run(_engine(entry, prefix_caching=False), [_request(0, prompts[0], tokenizer)])
    _run(engine, [_request(0, prompts[0], tokenizer)])
    assert _run(engine, [_request(0, prompts[0], tokenizer)]) == cold


def test_the_end_of_turn_is_no_part_of_the_answer(
    engine: OpenVinoEngine, prompts: list[list[int]], tokenizer: PromptTokenizer
) -> None:
    token_ids, finish = _run(engine, [_request(0, prompts[0], tokenizer)])[0]
    assert finish is FinishReason.STOP
    assert not tokenizer.eos_token_ids & set(token_ids)


def test_the_limit_of_tokens_is_kept_to_the_token(
    engine: OpenVinoEngine, prompts: list[list[int]], tokenizer: PromptTokenizer
) -> None:
    token_ids, finish = _run(engine, [_request(0, prompts[0], tokenizer, max_tokens=7)])[0]
    assert (len(token_ids), finish) == (7, FinishReason.LENGTH)


def test_a_cancelled_sequence_produces_nothing_more_and_frees_the_engine(
    engine: OpenVinoEngine, prompts: list[list[int]], tokenizer: PromptTokenizer
) -> None:
    engine.begin(_request(0, prompts[0], tokenizer, max_tokens=500, stop_token_ids=[]))
    engine.begin(_request(1, prompts[1], tokenizer, max_tokens=5))
    engine.step()
    engine.cancel(0)
    chunks = []
    while engine.has_work():
        chunks += engine.step()
    assert {chunk.sequence_id for chunk in chunks} == {1}
    engine.cancel(0)


def test_a_seed_reproduces_whatever_else_is_in_the_batch(
    engine: OpenVinoEngine, prompts: list[list[int]], tokenizer: PromptTokenizer
) -> None:
    hot = Sampling(temperature=3.0, seed=11)
    alone = _run(engine, [_request(0, prompts[0], tokenizer, sampling=hot)])[0]
    others = [_request(index, prompt, tokenizer) for index, prompt in enumerate(prompts[1:], start=1)]
    assert _run(engine, [_request(0, prompts[0], tokenizer, sampling=hot), *others])[0] == alone
    assert _run(engine, [_request(0, prompts[0], tokenizer, sampling=Sampling(temperature=3.0, seed=12))])[0] != alone


@pytest.mark.parametrize(
    "changed",
    [
        Sampling(temperature=3.0, seed=5, top_k=2),
        Sampling(temperature=3.0, seed=5, top_p=0.3),
        Sampling(temperature=0.3, seed=5),
        Sampling(temperature=3.0, seed=5, repetition_penalty=5.0),
        Sampling(temperature=3.0, seed=5, min_p=0.5),
        Sampling(temperature=3.0, seed=5, presence_penalty=2.0),
        Sampling(temperature=3.0, seed=5, frequency_penalty=2.0),
    ],
)
def test_each_sampling_key_has_an_effect(
    engine: OpenVinoEngine, prompts: list[list[int]], tokenizer: PromptTokenizer, changed: Sampling
) -> None:
    plain = Sampling(temperature=3.0, seed=5)
    assert _run(engine, [_request(0, prompts[0], tokenizer, sampling=changed)]) != _run(
        engine, [_request(0, prompts[0], tokenizer, sampling=plain)]
    )


def test_top_k_of_one_is_greedy(engine: OpenVinoEngine, prompts: list[list[int]], tokenizer: PromptTokenizer) -> None:
    narrow = Sampling(temperature=3.0, seed=5, top_k=1)
    greedy = _run(engine, [_request(0, prompts[0], tokenizer)])
    assert _run(engine, [_request(0, prompts[0], tokenizer, sampling=narrow)]) == greedy


def test_the_token_that_ended_a_sequence_is_named(
    engine: OpenVinoEngine, prompts: list[list[int]], tokenizer: PromptTokenizer
) -> None:
    last = _chunks(engine, _request(0, prompts[0], tokenizer))[-1]
    assert last.finish is FinishReason.STOP
    assert last.stop_token_id in tokenizer.eos_token_ids


def test_a_sequence_does_not_end_before_its_least_number_of_tokens(
    engine: OpenVinoEngine, prompts: list[list[int]], tokenizer: PromptTokenizer
) -> None:
    ended, _ = _run(engine, [_request(0, prompts[0], tokenizer)])[0]
    longer, _ = _run(engine, [_request(0, prompts[0], tokenizer, min_tokens=len(ended) + 5)])[0]
    assert len(longer) >= len(ended) + 5


def test_every_token_has_its_logprob_where_they_are_asked_for(
    engine: OpenVinoEngine, prompts: list[list[int]], tokenizer: PromptTokenizer
) -> None:
    for chunk in _chunks(engine, _request(0, prompts[0], tokenizer, logprobs=True)):
        assert chunk.logprobs is not None
        assert len(chunk.logprobs) == len(chunk.token_ids)
        assert all(logprob <= 0 for logprob in chunk.logprobs)
    assert all(chunk.logprobs is None for chunk in _chunks(engine, _request(0, prompts[0], tokenizer)))


def test_logprobs_are_those_of_the_model_before_any_temperature(
    engine: OpenVinoEngine, prompts: list[list[int]], tokenizer: PromptTokenizer
) -> None:
    plain = _chunks(engine, _request(0, prompts[0], tokenizer, logprobs=True))
    cold = Sampling(temperature=0.1, seed=1)
    sampled = _chunks(engine, _request(0, prompts[0], tokenizer, logprobs=True, sampling=cold))
    assert [chunk.token_ids for chunk in sampled] == [chunk.token_ids for chunk in plain]
    for one, other in zip(sampled, plain, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-3)


def test_cached_tokens_are_what_the_engine_does_not_compute_again(
    entry: CatalogEntry, tokenizer: PromptTokenizer
) -> None:
    """With 32 tokens a step, the steps until the first token say how much of a prompt was computed."""
    engine = _engine(entry, max_batched_tokens=32, kv_cache_tokens=1024)
    shared = list(range(300, 556))
    assert _cached_and_steps(engine, _request(0, [*shared, 5, 6, 7], tokenizer, max_tokens=2)) == (0, 9)
    assert _cached_and_steps(engine, _request(1, [*shared, 8, 9], tokenizer, max_tokens=2)) == (256, 1)
    assert _cached_and_steps(engine, _request(2, [*shared[:128], 8, 9], tokenizer, max_tokens=2)) == (128, 1)
    filler = list(range(600, 1600))
    _run(engine, [_request(3, filler, tokenizer, max_tokens=2)])
    assert _cached_and_steps(engine, _request(4, [*shared, 8, 9], tokenizer, max_tokens=2)) == (0, 9)
    engine.clear_cache()
    assert _cached_and_steps(engine, _request(5, [*shared, 8, 9], tokenizer, max_tokens=2)) == (0, 9)


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
    alone = _run(engine, [_request(0, prompts[0], tokenizer)])
    engine.begin(_request(0, prompts[0], tokenizer))
    engine.begin(_request(1, prompts[1], tokenizer, grammar="root ::= nowhere"))
    with pytest.raises(StepFailedError) as failed:
        engine.step()
    assert (list(failed.value.refused), list(failed.value.lost)) == ([1], [0])
    assert "\n" not in failed.value.refused[1]
    assert _run(engine, [_request(0, prompts[0], tokenizer)]) == alone


def test_what_the_library_refuses_is_one_sentence(engine: OpenVinoEngine, tokenizer: PromptTokenizer) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        engine.begin(_request(0, [], tokenizer))
    assert "\n" not in str(refused.value)
    assert not engine.has_work()


def test_sequences_that_outgrow_the_cache_together_all_finish(entry: CatalogEntry, tokenizer: PromptTokenizer) -> None:
    """The library preempts and recomputes: nobody is lost."""
    small = _engine(entry, kv_cache_tokens=512)
    prompt = tokenizer.encode("warm " * 40, add_special_tokens=True)
    requests = [_request(index, prompt, tokenizer, max_tokens=200, stop_token_ids=[]) for index in range(4)]
    assert {len(token_ids) for token_ids, _ in _run(small, requests).values()} == {200}


def test_int8_answers_as_full_precision_does(
    demo_store: Path, engine: OpenVinoEngine, prompts: list[list[int]], tokenizer: PromptTokenizer
) -> None:
    """Greedy answers to the handbook's questions are the same text; the manifest has the finer measure."""
    int8 = _engine(_entry(demo_store, "int8"), kv_cache_precision="u8")
    requests = [_request(index, prompt, tokenizer) for index, prompt in enumerate(prompts)]
    full, quantized = _run(engine, requests), _run(int8, requests)
    same = sum(full[index] == quantized[index] for index in full)
    assert same >= len(prompts) - 1
    agreement = _entry(demo_store, "int8").manifest.agreement
    assert agreement is not None
    assert agreement.same_next_token > 0.95
