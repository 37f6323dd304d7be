"""Between TGI's dialect and the words of generation, in both directions."""

import secrets
from collections.abc import Sequence

from llm_gateway.api.collect import WholeAnswer
from llm_gateway.api.tgi.answers import BestOfSequence, Details, GenerateAnswer, finish_name, wire_token
from llm_gateway.api.tgi.grammar import answer_shape
from llm_gateway.api.tgi.limits import samples
from llm_gateway.api.tgi.schema import GenerateParameters, InputsBody
from llm_gateway.generation import UNTIL_CONTEXT_IS_FULL, GenerationRequest, PromptSource, Sampling, Usage

_NUM_SEEDS = 1 << 32


def to_generation(body: InputsBody, request_id: str, *, streams: bool) -> GenerationRequest:
    """Read a body that has passed its checks.

    Raises:
        InvalidRequestError: its grammar cannot be used.
    """
    how = body.how
    num_sequences = how.best_of or 1
    return GenerationRequest(
        request_id=request_id,
        prompt=PromptSource(text=body.inputs, raw=True, keep_last_tokens=how.truncate),
        max_tokens=how.max_new_tokens or UNTIL_CONTEXT_IS_FULL,
        exact_max_tokens=how.max_new_tokens is not None,
        sampling=_sampling(how),
        stop=tuple(text for text in how.stop or () if text),
        include_stop=True,
        num_sequences=num_sequences,
        # Every event has a token in it, and the best of several is the one whose tokens are likeliest.
        token_details=bool(how.details) or streams or num_sequences > 1,
        shape=None if how.grammar is None else answer_shape(how.grammar),
    )


def to_answer(answers: Sequence[WholeAnswer], body: InputsBody, wanted: GenerationRequest) -> GenerateAnswer:
    """Write an answer that is whole; of several, the best."""
    prompt, best = prompt_before(body), likeliest(answers)
    text = prompt + answers[best].text
    if not body.how.details:
        return GenerateAnswer(text)
    others = [
        _sequence(answer, prompt, reported_seed(wanted.sampling, index))
        for index, answer in enumerate(answers)
        if index != best
    ]
    return GenerateAnswer(text, _details(answers[best], reported_seed(wanted.sampling, best), others or None))


def likeliest(answers: Sequence[WholeAnswer]) -> int:
    """Find the answer whose tokens are likeliest on average; returns its index."""
    return max(range(len(answers)), key=lambda index: _mean_logprob(answers[index]))


def prompt_before(body: InputsBody) -> str:
    """What stands before the answer's text."""
    return body.inputs if body.how.return_full_text else ""


def reported_seed(sampling: Sampling, index: int) -> int | None:
    """The seed that brings one of the sequences again, alone; None where nothing was drawn."""
    if sampling.greedy or sampling.seed is None:
        return None
    return sampling.seed if index == 0 else (sampling.seed + index) % _NUM_SEEDS


def num_tokens(answer: WholeAnswer, usage: Usage) -> int:
    """How many tokens an answer has; TGI counts the one that ends it, too."""
    if answer.tokens:
        return len(answer.tokens)
    return usage.completion_tokens + isinstance(answer.stopped_by, int)


def _sampling(how: GenerateParameters) -> Sampling:
    temperature = 1.0 if how.temperature is None else how.temperature
    return Sampling(
        temperature=temperature if samples(how) else 0,
        top_k=how.top_k or 0,
        top_p=1.0 if how.top_p is None else how.top_p,
        repetition_penalty=1.0 if how.repetition_penalty is None else how.repetition_penalty,
        frequency_penalty=how.frequency_penalty or 0.0,
        # Drawn here and not further in, because the answer tells it.
        seed=secrets.randbelow(_NUM_SEEDS) if how.seed is None else how.seed,
    )


def _mean_logprob(answer: WholeAnswer) -> float:
    return sum(token.logprob for token in answer.tokens) / len(answer.tokens) if answer.tokens else float("-inf")


def _details(answer: WholeAnswer, seed: int | None, others: list[BestOfSequence] | None) -> Details:
    return Details(
        finish_reason=finish_name(answer.finish, answer.stopped_by),
        generated_tokens=len(answer.tokens),
        seed=seed,
        prefill=[],
        tokens=[wire_token(token) for token in answer.tokens],
        best_of_sequences=others,
    )


def _sequence(answer: WholeAnswer, prompt: str, seed: int | None) -> BestOfSequence:
    return BestOfSequence(
        generated_text=prompt + answer.text,
        finish_reason=finish_name(answer.finish, answer.stopped_by),
        generated_tokens=len(answer.tokens),
        seed=seed,
        prefill=[],
        tokens=[wire_token(token) for token in answer.tokens],
    )
