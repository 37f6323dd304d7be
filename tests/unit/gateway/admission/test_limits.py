"""How many tokens a request counts for, and how many may be inside."""

from llm_gateway.admission.limits import tokens_inside, tokens_of
from llm_gateway.generation import UNTIL_CONTEXT_IS_FULL, GenerationRequest, PromptSource, Sampling, SequenceRequest


def _sequences(number: int, max_tokens: int) -> list[SequenceRequest]:
    return [
        SequenceRequest(
            sequence_id=index,
            prompt_token_ids=[1, 2, 3],
            max_tokens=max_tokens,
            sampling=Sampling(),
            stop_token_ids=[],
        )
        for index in range(number)
    ]


def _request(max_tokens: int | None) -> GenerationRequest:
    return GenerationRequest(request_id="one", prompt=PromptSource(text="any"), max_tokens=max_tokens)


def test_a_request_counts_for_its_prompt_and_its_longest_answer_in_each_sequence() -> None:
    assert tokens_of(_request(100), _sequences(2, 100), 256) == 2 * (3 + 100)


def test_an_answer_that_nobody_bounded_counts_for_the_usual_length() -> None:
    assert tokens_of(_request(UNTIL_CONTEXT_IS_FULL), _sequences(1, 40_000), 256) == 3 + 256
    assert tokens_of(_request(UNTIL_CONTEXT_IS_FULL), _sequences(1, 20), 256) == 3 + 20


def test_what_may_be_inside_follows_the_kv_cache_unless_somebody_has_said_it() -> None:
    assert tokens_inside(None, 1000) == 4000
    assert tokens_inside(77, 1000) == 77
    assert tokens_inside(None, None) is None
