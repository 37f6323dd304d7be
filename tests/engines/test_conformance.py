"""One suite for every engine: the contract of llm_gateway/engines/base.py, asked of each that is installed here.

What an engine cannot do for a request it has to refuse in a sentence that names it; everything else it has to do.
"""

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from llm_gateway.engines.base import Engine, RequestRefusedError
from llm_gateway.generation import FinishReason, Sampling, SequenceRequest
from llm_gateway.grammar.json_schema import json_schema_grammar
from llm_gateway.prompt.tokenizer import PromptTokenizer
from llm_gateway.workers.process import WorkerProcess, library_variables
from llm_gateway.workers.protocol import EngineOptions, Load, Loaded
from tests.engines import conformance
from tests.engines.conformance import CONTEXT_TOKENS, LIBRARIES, Produced, build, folder_for, request, run

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
"""What libraries say of themselves; nothing of ours is called from them."""
HOT = Sampling(temperature=2.0, seed=5)


@dataclass(frozen=True)
class Subject:
    """An engine, and how to ask it."""

    name: str
    folder: Path
    engine: Engine
    tokenizer: PromptTokenizer
    prompts: list[list[int]]

    def request(self, index: int = 0, /, **changes: object) -> SequenceRequest:
        return request(0, self.prompts[index], self.tokenizer, **changes)

    def run(self, index: int = 0, /, **changes: object) -> Produced:
        return run(self.engine, [self.request(index, **changes)])[0]

    def run_or_refused(self, key: str, /, **changes: object) -> Produced | None:
        """Run, or see that the refusal names what cannot be done."""
        try:
            return self.run(**changes)
        except RequestRefusedError as refused:
            sentence = str(refused)
        assert key in sentence, f"{self.name} refuses without naming {key}"
        assert not self.engine.has_work()
        return None


@pytest.fixture(scope="module", params=[name for name in sorted(LIBRARIES) if conformance.is_installed(name)])
def subject(request: pytest.FixtureRequest) -> Subject:
    name: str = request.param
    os.environ.update(library_variables(name))
    store = request.getfixturevalue("demo_store") if name == "openvino" else None
    folder = folder_for(name, store)
    return Subject(name, folder, build(name, folder), *conformance.demo_prompts())


@pytest.fixture(scope="module")
def reference(subject: Subject) -> list[list[int]]:
    pytest.importorskip("torch")
    return conformance.reference_answers(subject.prompts, sorted(subject.tokenizer.eos_token_ids))


def test_greedy_answers_are_those_of_transformers_token_for_token(subject: Subject, reference: list[list[int]]) -> None:
    assert [subject.run(index).token_ids for index in range(len(subject.prompts))] == reference


def test_batched_answers_equal_those_alone(subject: Subject) -> None:
    indexes = range(len(subject.prompts))
    together = run(subject.engine, [subject.request(index, sequence_id=index) for index in indexes])
    assert together == [subject.run(index) for index in indexes]


def test_a_cached_prefix_changes_no_answer(subject: Subject) -> None:
    prefix = subject.tokenizer.encode("warm is the door that opens to a house " * 10, add_special_tokens=False)
    asked = request(0, prefix + subject.prompts[0], subject.tokenizer)
    cold, cached = run(subject.engine, [asked])[0], run(subject.engine, [asked])[0]
    subject.engine.clear_cache()
    assert cold == cached == run(subject.engine, [asked])[0]


def test_an_answer_ends_with_the_turn_and_names_the_token_that_ended_it(subject: Subject) -> None:
    answer = subject.run()
    assert answer.finish is FinishReason.STOP
    assert answer.stop_token_id in subject.tokenizer.eos_token_ids
    assert not subject.tokenizer.eos_token_ids & set(answer.token_ids)


def test_the_limit_of_tokens_is_kept_to_the_token(subject: Subject) -> None:
    answer = subject.run(max_tokens=7)
    assert (len(answer.token_ids), answer.finish, answer.stop_token_id) == (7, FinishReason.LENGTH, None)


def test_any_token_can_be_the_end(subject: Subject) -> None:
    whole = subject.run().token_ids
    cut = subject.run(stop_token_ids=[whole[4]])
    assert (cut.token_ids, cut.finish, cut.stop_token_id) == (whole[:4], FinishReason.STOP, whole[4])


def test_without_an_end_of_turn_an_answer_runs_to_its_limit(subject: Subject) -> None:
    answer = subject.run(stop_token_ids=[], max_tokens=90)
    assert (len(answer.token_ids), answer.finish) == (90, FinishReason.LENGTH)


def test_a_prompt_can_fill_the_context_but_for_one_token(subject: Subject) -> None:
    long = subject.tokenizer.encode("warm " * 600, add_special_tokens=False)[: CONTEXT_TOKENS - 1]
    (answer,) = run(subject.engine, [request(0, long, subject.tokenizer, max_tokens=1, stop_token_ids=[])])
    assert (len(answer.token_ids), answer.finish) == (1, FinishReason.LENGTH)


def test_a_cancelled_sequence_produces_nothing_more_and_the_others_go_on(subject: Subject) -> None:
    alone = subject.run(1, max_tokens=20)
    subject.engine.begin(subject.request(0, sequence_id=0, max_tokens=400, stop_token_ids=[]))
    subject.engine.begin(subject.request(1, sequence_id=1, max_tokens=20))
    while not subject.engine.step():
        pass
    subject.engine.cancel(0)
    left = Produced()
    while subject.engine.has_work():
        for chunk in subject.engine.step():
            assert chunk.sequence_id == 1
            left.add(chunk)
    subject.engine.cancel(0)
    assert alone.token_ids[-len(left.token_ids) :] == left.token_ids
    assert left.finish is alone.finish


def test_after_a_cancellation_one_step_is_enough_to_have_no_work(subject: Subject) -> None:
    for number in range(4):
        subject.engine.begin(subject.request(number, sequence_id=number, max_tokens=400, stop_token_ids=[]))
    while not subject.engine.step():
        pass
    for number in range(4):
        subject.engine.cancel(number)
    if subject.engine.has_work():
        assert subject.engine.step() == []
    assert not subject.engine.has_work()


def test_every_computation_is_counted(subject: Subject) -> None:
    before = subject.engine.num_steps
    answer = subject.run(stop_token_ids=[], max_tokens=20)
    assert subject.engine.num_steps - before >= len(answer.token_ids)


def test_of_64_requests_at_once_half_are_cancelled_and_the_other_half_is_right(subject: Subject) -> None:
    expected = [subject.run(index, max_tokens=24) for index in range(len(subject.prompts))]
    requests = [
        subject.request(number % len(subject.prompts), sequence_id=number, max_tokens=24) for number in range(64)
    ]
    for one in requests:
        subject.engine.begin(one)
    produced = {one.sequence_id: Produced() for one in requests}
    for number in range(0, 64, 2):
        subject.engine.cancel(number)
    while subject.engine.has_work():
        for chunk in subject.engine.step():
            assert chunk.sequence_id % 2 == 1, "it was cancelled"
            produced[chunk.sequence_id].add(chunk)
    for number in range(1, 64, 2):
        assert produced[number] == expected[number % len(subject.prompts)]


def test_a_seed_reproduces_alone_and_in_a_batch_and_another_seed_differs(subject: Subject) -> None:
    alone = subject.run_or_refused("seed", sampling=HOT)
    if alone is None:
        return
    others = [subject.request(index, sequence_id=index) for index in range(1, len(subject.prompts))]
    assert run(subject.engine, [subject.request(sampling=HOT), *others])[0] == alone
    assert subject.run(sampling=Sampling(temperature=2.0, seed=6)) != alone


def test_sequences_of_one_prompt_differ_by_their_seeds(subject: Subject) -> None:
    hot = [Sampling(temperature=2.0, seed=seed) for seed in range(4)]
    if subject.run_or_refused("seed", sampling=hot[0]) is None:
        return
    answers = run(subject.engine, [subject.request(sequence_id=n, sampling=one) for n, one in enumerate(hot)])
    assert len({tuple(answer.token_ids) for answer in answers}) == 4


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("top_k", 2),
        ("top_p", 0.3),
        ("temperature", 0.3),
        ("min_p", 0.5),
        ("repetition_penalty", 5.0),
        ("presence_penalty", 2.0),
        ("frequency_penalty", 2.0),
    ],
)
def test_each_sampling_key_has_an_effect_or_is_refused_by_name(subject: Subject, key: str, value: float) -> None:
    """Not with every seed: a penalty changes nothing where the next token is sure, or what came does not return."""
    for seed in range(6):
        plain = Sampling(temperature=2.0, seed=seed)
        changed = msgspec.structs.replace(plain, **{key: value})
        answer = subject.run_or_refused(key, sampling=changed, stop_token_ids=[], max_tokens=60)
        if answer is None or answer != subject.run(sampling=plain, stop_token_ids=[], max_tokens=60):
            return
    raise AssertionError(f"{key} changes nothing with any of six seeds")


def test_top_k_of_one_is_greedy(subject: Subject) -> None:
    assert subject.run(sampling=Sampling(temperature=2.0, seed=5, top_k=1)).token_ids == subject.run().token_ids


def test_every_token_has_its_logprob_where_they_are_asked_for(subject: Subject) -> None:
    answer = subject.run_or_refused("logprobs", logprobs=True)
    if answer is not None:
        assert len(answer.logprobs) == len(answer.token_ids)
        assert all(logprob <= 0 for logprob in answer.logprobs)
    assert subject.run().logprobs == []


def test_a_least_number_of_tokens_is_kept_or_refused_by_name(subject: Subject) -> None:
    ended = subject.run()
    longer = subject.run_or_refused("min_tokens", min_tokens=len(ended.token_ids) + 5, max_tokens=120)
    assert longer is None or len(longer.token_ids) >= len(ended.token_ids) + 5


def test_an_answer_is_held_to_a_grammar_or_the_grammar_is_refused_by_name(subject: Subject) -> None:
    schema = {"type": "object", "properties": {"port": {"type": "integer"}}, "required": ["port"]}
    grammar = json_schema_grammar(schema, vocabulary_tokens=subject.tokenizer.vocabulary_size)
    answer = subject.run_or_refused("grammar", grammar=grammar, sampling=HOT)
    if answer is not None:
        assert answer.finish is FinishReason.STOP
        assert isinstance(json.loads(subject.tokenizer.underlying.decode(answer.token_ids))["port"], int)


def test_a_worker_that_ends_gives_its_memory_back(subject: Subject) -> None:
    async def load_and_unload() -> int:
        worker = await WorkerProcess.start(num_threads=1, engine=subject.name)
        options = EngineOptions(
            num_threads=1,
            kv_cache_tokens=2048,
            kv_cache_precision="f32",
            inference_precision="f32",
            max_num_seqs=8,
            max_batched_tokens=256,
            prefix_caching=True,
            context_tokens=CONTEXT_TOKENS,
        )
        loaded = await worker.client.load(Load(engine=subject.name, model_folder=str(subject.folder), options=options))
        assert isinstance(loaded, Loaded), loaded
        pid = worker.pid
        await worker.stop("the test is over")
        return pid

    pid = asyncio.run(load_and_unload())
    assert not Path(f"/proc/{pid}").exists()
