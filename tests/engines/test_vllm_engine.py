"""What is vLLM's own behind the engine contract: what it refuses, when it is done, and how it is started.

It needs an environment in which vLLM is installed, and is skipped elsewhere.
"""

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from llm_gateway.engines.base import RequestRefusedError, StepFailedError
from llm_gateway.generation import FinishReason, Sampling, SequenceRequest, TokenChunk
from llm_gateway.workers.protocol import EngineOptions

if TYPE_CHECKING:
    from llm_gateway.engines.vllm_engine import VllmEngine

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed in this environment"),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),  # the libraries' own
]

MODEL = Path(__file__).parents[2] / "demo_model" / "weights"
CONTEXT_TOKENS = 512
CACHE_TOKENS = 1024
END_OF_TURN = 2
STOPS = [END_OF_TURN, 0]
GREEDY = Sampling(temperature=0)
PROMPT = list(range(100, 190))
OTHER_PROMPTS = [list(range(start, start + 40)) for start in range(300, 1500, 200)]
THREE_LETTERS = 'root ::= "{" [a-z] [a-z] [a-z] "}"'
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_PLUGINS": "",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "CXX": "no-such-compiler",  # so that whatever is compiled on the way fails
}


def _options(**changes: object) -> EngineOptions:
    options: dict[str, Any] = {
        "num_threads": 1,
        "kv_cache_tokens": CACHE_TOKENS,
        "kv_cache_precision": "f32",
        "inference_precision": "f32",
        "max_num_seqs": 64,
        "max_batched_tokens": 64,
        "prefix_caching": True,
        "context_tokens": CONTEXT_TOKENS,
    }
    return EngineOptions(**(options | changes))


@pytest.fixture(scope="module")
def engine_class(tmp_path_factory: pytest.TempPathFactory) -> Iterator["type[VllmEngine]"]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("nothing_compiled_before")))
        from llm_gateway.engines.vllm_engine import VllmEngine

        yield VllmEngine


@pytest.fixture(scope="module")
def engine(engine_class: "type[VllmEngine]") -> "VllmEngine":
    """The only one: vLLM's state is the process's."""
    return engine_class(MODEL, _options())


def _request(sequence_id: int = 0, prompt: Sequence[int] = PROMPT, **changes: object) -> SequenceRequest:
    fields: dict[str, Any] = {
        "sequence_id": sequence_id,
        "prompt_token_ids": list(prompt),
        "max_tokens": 24,
        "sampling": GREEDY,
        "stop_token_ids": STOPS,
    }
    return SequenceRequest(**(fields | changes))


def _run(engine: "VllmEngine", *requests: SequenceRequest) -> dict[int, list[TokenChunk]]:
    """Begin them all, step until nothing is left, and return what each produced."""
    for request in requests:
        engine.begin(request)
    chunks: dict[int, list[TokenChunk]] = {request.sequence_id: [] for request in requests}
    while engine.has_work():
        for chunk in engine.step():
            chunks[chunk.sequence_id].append(chunk)
    assert all(
        [chunk.finish is not None for chunk in some] == [False] * (len(some) - 1) + [True] for some in chunks.values()
    )
    return chunks


def _tokens(engine: "VllmEngine", *requests: SequenceRequest) -> dict[int, list[int]]:
    produced = _run(engine, *requests)
    return {
        sequence_id: [token for chunk in chunks for token in chunk.token_ids]
        for sequence_id, chunks in produced.items()
    }


def test_the_blocks_that_the_cache_has_are_known_before_the_first_step(engine: "VllmEngine") -> None:
    engine.clear_cache()
    known = []
    for prompt in (PROMPT, PROMPT, [*PROMPT[:40], 5, 6], [7, *PROMPT]):
        known.append(engine.begin(_request(0, prompt)))
        while engine.has_work():
            engine.step()
    assert known == [0, 64, 32, 0]
    engine.clear_cache()
    assert engine.begin(_request(0)) == 0
    engine.cancel(0)


def test_the_end_of_turn_is_named_apart_from_the_answer_and_has_its_own_logprob(engine: "VllmEngine") -> None:
    first = _tokens(engine, _request(0))[0]
    last = _run(engine, _request(0, stop_token_ids=[first[5]], logprobs=True))[0]
    end = first.index(first[5])
    assert [token for chunk in last for token in chunk.token_ids] == first[:end]
    assert (last[-1].finish, last[-1].stop_token_id, last[-1].logprobs) == (FinishReason.STOP, first[5], [])
    assert last[-1].stop_logprob is not None
    assert all(logprob <= 0 for chunk in last for logprob in chunk.logprobs or [1.0] if chunk.finish is None)


@pytest.mark.parametrize("seed", [-1, -(1 << 70), (1 << 64) - 1, 1 << 70])
def test_any_integer_is_a_seed(engine: "VllmEngine", seed: int) -> None:
    hot = _request(0, sampling=Sampling(temperature=2.0, seed=seed))
    assert _run(engine, hot) == _run(engine, hot)


def test_sequences_that_outgrow_the_cache_together_all_finish(engine: "VllmEngine") -> None:
    """The scheduler preempts and recomputes: nobody is lost, and no answer changes."""
    alone = _tokens(engine, _request(0, max_tokens=300, stop_token_ids=[]))[0]
    requests = [_request(index, max_tokens=300, stop_token_ids=[]) for index in range(4)]
    assert 4 * (len(alone) + len(PROMPT)) > CACHE_TOKENS
    assert list(_tokens(engine, *requests).values()) == [alone] * 4


def test_a_prompt_may_leave_room_for_one_token_and_no_less(engine: "VllmEngine") -> None:
    almost = _run(engine, _request(0, [5] * (CONTEXT_TOKENS - 1)))[0]
    assert [(len(chunk.token_ids), chunk.finish) for chunk in almost] == [(1, FinishReason.LENGTH)]
    with pytest.raises(RequestRefusedError, match=f"length {CONTEXT_TOKENS}"):
        engine.begin(_request(0, [5] * CONTEXT_TOKENS))


@pytest.mark.parametrize("stop_token_ids", [STOPS, []], ids=["stopping", "ignoring the end of turn"])
def test_an_answer_ends_with_its_format(engine: "VllmEngine", stop_token_ids: list[int]) -> None:
    from tokenizers import Tokenizer

    others = [_request(index, prompt) for index, prompt in enumerate(OTHER_PROMPTS, start=1)]
    formatted = _request(0, grammar=THREE_LETTERS, stop_token_ids=stop_token_ids)
    chunks = _run(engine, formatted, *others)[0]
    text = Tokenizer.from_file(str(MODEL / "tokenizer.json")).decode([t for chunk in chunks for t in chunk.token_ids])
    assert (len(text), text[0], text[-1]) == (5, "{", "}")
    assert (chunks[-1].finish, chunks[-1].stop_token_id) == (FinishReason.STOP, END_OF_TURN)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"sampling": Sampling(temperature=2.5)}, "temperature"),
        ({"sampling": Sampling(presence_penalty=2.5)}, "presence_penalty"),
        ({"sampling": Sampling(frequency_penalty=-2.5)}, "frequency_penalty"),
        ({"grammar": "root ::= nowhere"}, "grammar"),
        ({"grammar": THREE_LETTERS, "min_tokens": 9}, "min_tokens"),
        ({"prompt_token_ids": []}, "prompt"),
        ({"prompt_token_ids": [1 << 20]}, "vocabulary"),
        ({"stop_token_ids": [1 << 20]}, "stop_token_ids"),
    ],
)
def test_what_vllm_refuses_is_one_sentence_and_leaves_nothing_behind(
    engine: "VllmEngine", changes: dict[str, Any], key: str
) -> None:
    with pytest.raises(RequestRefusedError, match=key) as refused:
        engine.begin(_request(0, **changes))
    assert "\n" not in str(refused.value)
    assert not engine.has_work()


def test_waiting_for_a_grammar_is_no_step(engine: "VllmEngine", monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a grammar which is never compiled is noticed as an engine that stands still."""
    from vllm.v1.structured_output.backend_xgrammar import XgrammarBackend

    compile_grammar, may_go_on = XgrammarBackend.compile_grammar, Event()

    def compile_when_told(self: XgrammarBackend, *arguments: object, **named: object) -> object:
        may_go_on.wait()
        return compile_grammar(self, *arguments, **named)

    monkeypatch.setattr(XgrammarBackend, "compile_grammar", compile_when_told)
    engine.begin(_request(0, grammar='root ::= "warm"'))
    before = engine.num_steps
    said = [engine.step() for _ in range(5)]
    waited = engine.num_steps
    may_go_on.set()
    assert (said, waited) == ([[]] * 5, before)
    produced: list[int] = []
    while engine.has_work():
        produced += [token for chunk in engine.step() for token in chunk.token_ids]
    assert 0 < len(produced) <= engine.num_steps - before


def test_a_sequence_that_vllm_gives_up_ends_alone(engine: "VllmEngine", monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.v1.structured_output.backend_xgrammar import XgrammarGrammar

    alone = _tokens(engine, _request(1))[1]
    monkeypatch.setattr(XgrammarGrammar, "accept_tokens", lambda *_: False)
    engine.begin(_request(0, grammar=THREE_LETTERS))
    engine.begin(_request(1))
    produced: list[int] = []
    failed: dict[int, str] = {}
    while engine.has_work():
        try:
            produced += [token for chunk in engine.step() for token in chunk.token_ids]
        except StepFailedError as error:
            failed |= error.refused
    assert produced == alone
    assert list(failed) == [0]


@pytest.mark.parametrize(
    "changes",
    [
        {"quantization": "int8"},
        {"quantization": "int4"},
        {"device": "cuda"},
        {"tensor_parallel_size": 2},
        {"kv_cache_precision": "u8"},
        {"kv_cache_precision": "bf16"},
    ],
    ids=str,
)
def test_options_that_vllm_has_not_are_refused_before_the_weights_are_read(
    engine_class: "type[VllmEngine]", changes: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="|".join(map(str, changes.values()))):
        engine_class(MODEL, _options(**changes))
