"""What is particular to the transformers engine: its sampler, and its thread; the contract is test_conformance.py's."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("transformers", minversion="5.20", reason="ENGINE=transformers needs transformers 5.20")
pytest.importorskip("accelerate", reason="ENGINE=transformers needs accelerate")
pytest.importorskip("bitsandbytes", reason="ENGINE=transformers needs bitsandbytes")

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from llm_gateway.engines import transformers_sampling
from llm_gateway.engines.base import RequestRefusedError
from llm_gateway.engines.transformers_engine import TransformersEngine
from llm_gateway.generation import FinishReason, Sampling, SequenceRequest
from llm_gateway.workers.protocol import EngineOptions

WEIGHTS = Path(__file__).parents[2] / "demo_model" / "weights"
PROMPT = list(range(300, 340))
GREEDY = Sampling(temperature=0)


def _engine(**changes: object) -> TransformersEngine:
    options: dict[str, object] = {
        "num_threads": 1,
        "kv_cache_tokens": 2048,
        "kv_cache_precision": "bf16",
        "inference_precision": "f32",
        "max_num_seqs": 64,
        "max_batched_tokens": 256,
        "prefix_caching": True,
    }
    return TransformersEngine(WEIGHTS, EngineOptions(**(options | changes)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def engine() -> TransformersEngine:
    return _engine()


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(WEIGHTS, dtype=torch.float32).eval()


def _request(sequence_id: int = 0, **changes: object) -> SequenceRequest:
    fields: dict[str, object] = {
        "sequence_id": sequence_id,
        "prompt_token_ids": PROMPT,
        "max_tokens": 30,
        "sampling": GREEDY,
        "stop_token_ids": [],
    }
    return SequenceRequest(**(fields | changes))  # type: ignore[arg-type]


def _run(engine: TransformersEngine, *requests: SequenceRequest) -> list[tuple[list[int], list[float]]]:
    """Token ids and logprobs of each."""
    for request in requests:
        engine.begin(request)
    answers: dict[int, tuple[list[int], list[float]]] = {request.sequence_id: ([], []) for request in requests}
    while engine.has_work():
        for chunk in engine.step():
            answers[chunk.sequence_id][0].extend(chunk.token_ids)
            answers[chunk.sequence_id][1].extend(chunk.logprobs or [])
    return list(answers.values())


def _next_logits(model: PreTrainedModel) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = model(torch.tensor([PROMPT])).logits[0, -1]
    return logits


def _batches(sampling: Sampling) -> Iterator[list[SequenceRequest]]:
    for first in range(0, 1024, 64):
        seeds = range(first, first + 64)
        yield [_request(seed, max_tokens=1, sampling=_seeded(sampling, seed)) for seed in seeds]


def _seeded(sampling: Sampling, seed: int) -> Sampling:
    return Sampling(temperature=sampling.temperature, top_p=sampling.top_p, top_k=sampling.top_k, seed=seed)


@pytest.mark.parametrize(
    "sampling", [Sampling(temperature=2.0, top_k=8), Sampling(temperature=1.5, top_p=0.8), Sampling(temperature=2.0)]
)
def test_tokens_come_as_often_as_the_model_says(
    engine: TransformersEngine, model: PreTrainedModel, sampling: Sampling
) -> None:
    """1,024 seeds, chi-squared over the tokens that are expected five times or more."""
    expected = _shares(_next_logits(model) / sampling.temperature, sampling) * 1024
    drawn = Counter(token_ids[0] for batch in _batches(sampling) for token_ids, _ in _run(engine, *batch))
    assert all(expected[token_id] > 0 for token_id in drawn)
    common = (expected >= 5).nonzero().flatten().tolist()
    surprise = sum(
        (drawn[token_id] - float(expected[token_id])) ** 2 / float(expected[token_id]) for token_id in common
    )
    assert surprise < len(common) + 5 * (2 * len(common)) ** 0.5


def _shares(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    shares, order = logits.softmax(-1).sort(descending=True)
    if sampling.top_k:
        shares[sampling.top_k :] = 0
    shares[shares.cumsum(0) - shares >= sampling.top_p] = 0
    return torch.zeros_like(logits).scatter(0, order, shares / shares.sum())


def test_a_nucleus_wider_than_the_first_candidates_is_found_whole(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = [_request(seed, sampling=Sampling(temperature=5.0, top_p=0.9, seed=seed)) for seed in range(4)]
    found = _run(engine, *wide)
    monkeypatch.setattr(transformers_sampling, "CANDIDATES", 4)
    assert _run(engine, *wide) == found


def test_logprobs_are_those_of_the_model_even_of_unlikely_tokens(
    engine: TransformersEngine, model: PreTrainedModel
) -> None:
    hot = Sampling(temperature=4.0, seed=1, repetition_penalty=1.5)
    ((token_ids, logprobs),) = _run(engine, _request(logprobs=True, sampling=hot))
    with torch.no_grad():
        said = model(torch.tensor([PROMPT + token_ids])).logits[0].log_softmax(-1)
    assert min(logprobs) < -8
    assert logprobs == pytest.approx(
        [float(said[len(PROMPT) - 1 + index, token_id]) for index, token_id in enumerate(token_ids)], abs=1e-3
    )


def test_the_repetition_penalty_is_that_of_generate(engine: TransformersEngine, model: PreTrainedModel) -> None:
    penalised = Sampling(temperature=0, repetition_penalty=1.3)
    expected = model.generate(
        torch.tensor([PROMPT]), do_sample=False, repetition_penalty=1.3, min_new_tokens=30, max_new_tokens=30
    )
    with_stops = _request(sampling=penalised, stop_token_ids=[2], min_tokens=30)
    assert _run(engine, with_stops)[0][0] == expected[0, len(PROMPT) :].tolist()


def test_penalties_survive_being_put_off_for_want_of_cache() -> None:
    """Four that outgrow the cache together are each what they are alone; the library computes some of them again."""
    small = _engine(kv_cache_tokens=320, prefix_caching=False)
    sampling = Sampling(temperature=2.0, seed=3, frequency_penalty=1.0)
    requests = [_request(index, max_tokens=150, sampling=sampling) for index in range(4)]
    assert _run(small, *requests) == _run(small, _request(max_tokens=150, sampling=sampling)) * 4


def test_all_of_the_sampler_for_every_batch_changes_no_answer(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As CUDA graphs compute it, whose replays cannot leave out what nobody in the batch asked for."""
    kinds = [GREEDY, Sampling(temperature=3.0, seed=1), Sampling(temperature=2.0, seed=2, top_p=0.5, min_p=0.01)]
    requests = [_request(index, sampling=sampling) for index, sampling in enumerate(kinds)]
    requests.append(_request(3, sampling=Sampling(temperature=0, presence_penalty=1.0), min_tokens=9))
    chosen = [token_ids for request in requests for token_ids, _ in _run(engine, request)]
    (sampler,) = engine._manager.logit_processor.logits_processor
    monkeypatch.setattr(sampler, "_in_graphs", True)
    monkeypatch.setattr(sampler, "_wanted", transformers_sampling._Wanted(True, True, True, True, True))
    assert [token_ids for token_ids, _ in _run(engine, *requests)] == chosen


def test_cached_tokens_are_the_whole_pages_that_the_library_kept(engine: TransformersEngine) -> None:
    """It keeps nothing of the step that a sequence ends with, so an answer of one token leaves no prompt behind."""
    shared = list(range(500, 600))

    def cached(last: int, max_tokens: int) -> int:
        known = engine.begin(_request(prompt_token_ids=[*shared, last], max_tokens=max_tokens))
        while engine.has_work():
            engine.step()
        return known

    engine.clear_cache()
    assert [cached(1, 1), cached(2, 2), cached(3, 2), cached(4, 2)] == [0, 0, 96, 96]
    engine.clear_cache()
    assert cached(5, 2) == 0


def test_a_prompt_that_fills_the_cache_gets_one_token_and_a_longer_one_a_sentence(engine: TransformersEngine) -> None:
    full = [token_id % 2000 + 3 for token_id in range(2048)]
    engine.begin(_request(prompt_token_ids=full))
    chunks = []
    while engine.has_work():
        chunks += engine.step()
    assert [(len(chunk.token_ids), chunk.finish) for chunk in chunks] == [(1, FinishReason.LENGTH)]
    with pytest.raises(RequestRefusedError, match="2049 tokens"):
        engine.begin(_request(prompt_token_ids=[*full, 5]))


def test_what_would_end_the_library_s_thread_is_refused_or_left_out(engine: TransformersEngine) -> None:
    with pytest.raises(RequestRefusedError, match="vocabulary"):
        engine.begin(_request(prompt_token_ids=[5, 1 << 20]))
    plain = _run(engine, _request(max_tokens=3, sampling=Sampling(temperature=1.0, seed=1)))
    strange = Sampling(temperature=1.0, seed=1, top_k=1 << 40)
    assert _run(engine, _request(max_tokens=3, sampling=strange, min_tokens=3, stop_token_ids=[1 << 20])) == plain


def test_an_error_in_the_library_s_thread_is_an_error_of_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = _engine()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(engine._model, "forward", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        _run(engine, _request())
    with pytest.raises(RuntimeError, match="has ended"):
        _run(engine, _request())


def test_the_process_ends_with_its_main_thread() -> None:
    """The library's thread would keep it for ever, here in the middle of an answer."""
    source = """
from tests.engines.test_transformers_engine import _engine, _request
engine = _engine()
engine.begin(_request(max_tokens=2000))
engine.step()
"""
    ended = subprocess.run([sys.executable, "-c", source], timeout=60, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize("quantization", ["int8", "int4"])
def test_compressed_weights_answer_about_as_full_ones_do(engine: TransformersEngine, quantization: str) -> None:
    ((token_ids, full),) = _run(engine, _request(logprobs=True))
    compressed = _engine(quantization=quantization)
    ((same_ids, rounded),) = _run(compressed, _request(logprobs=True, max_tokens=1))
    assert same_ids == token_ids[:1]
    assert rounded == pytest.approx(full[:1], abs=0.5)


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"kv_cache_precision": "u8"}, "KV_CACHE_PRECISION"), ({"tensor_parallel_size": 2}, "TENSOR")],
)
def test_what_it_cannot_be_set_to_is_one_sentence(changes: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        _engine(**changes)
