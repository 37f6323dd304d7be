"""Limits that are checked before the engine is asked: how long a prompt and an answer may be, how many answers."""

from collections.abc import Iterable, Sequence
from typing import Final

from llm_gateway.errors import InvalidRequestError, PromptTooLongError
from llm_gateway.generation import UNTIL_CONTEXT_IS_FULL, GenerationRequest, SequenceRequest

_CACHES_INSIDE: Final = 4
"""How many times the KV cache the requests inside may have in tokens: one of them runs, the others wait."""

MAX_STOP_CHARACTERS: Final = 1000
"""Of one stop string. What is held back as its possible beginning is compared with it at every token."""


def answer_tokens(prompt_tokens: int, asked_tokens: int, context_tokens: int, *, exact: bool) -> int:
    """Return how many tokens the answer may have.

    What was asked for is cut to what the context leaves, and the answer then ends with `length`; a prompt that leaves
    nothing is refused, and with `exact` one that leaves too little, too.

    Raises:
        PromptTooLongError: the prompt fills the context, or more, or does so with the exact answer.
        InvalidRequestError: the prompt is empty.
    """
    if prompt_tokens == 0:
        raise InvalidRequestError("prompt is empty, expected at least one token of text")
    room = context_tokens - prompt_tokens
    if room < 1:
        raise PromptTooLongError(
            f"the prompt has {prompt_tokens} tokens and the context {context_tokens}, which leaves no room to answer; "
            "shorten the prompt or raise MAX_CONTEXT_TOKENS",
            prompt_tokens=prompt_tokens,
            max_tokens=None,
            context_tokens=context_tokens,
        )
    if exact and asked_tokens > room:
        raise PromptTooLongError(
            f"the prompt has {prompt_tokens} tokens and the answer was to have {asked_tokens}, together at most "
            f"{context_tokens} are possible; shorten one of them or raise MAX_CONTEXT_TOKENS",
            prompt_tokens=prompt_tokens,
            max_tokens=asked_tokens,
            context_tokens=context_tokens,
        )
    return min(asked_tokens, room)


def check_num_sequences(asked: int, allowed: int) -> None:
    """Refuse more answers per request than `MAX_NUM_SEQUENCES`."""
    if asked > allowed:
        raise InvalidRequestError(
            f"num_sequences is {asked}, at most {allowed} are allowed (MAX_NUM_SEQUENCES)", field="num_sequences"
        )


def tokens_inside(asked: int | None, kv_cache_tokens: int | None) -> int | None:
    """Return how many tokens all requests inside may have: as asked, else as the KV cache allows; None is no bound.

    `kv_cache_tokens` is None where the engine sizes its cache by itself.
    """
    if asked is not None or kv_cache_tokens is None:
        return asked
    return _CACHES_INSIDE * kv_cache_tokens


def tokens_of(request: GenerationRequest, sequences: Sequence[SequenceRequest], default_max_tokens: int) -> int:
    """Return how many tokens a request counts for: its prompt and its longest answer, for each sequence.

    An answer that nobody bounded counts for `default_max_tokens`: most end by themselves, long before the context does.
    """
    unbounded = request.max_tokens == UNTIL_CONTEXT_IS_FULL
    return sum(
        len(one.prompt_token_ids) + (min(one.max_tokens, default_max_tokens) if unbounded else one.max_tokens)
        for one in sequences
    )


def check_stops(stops: Iterable[str]) -> None:
    """Refuse stop strings that would be work at every token, for everybody."""
    longest = max(map(len, stops), default=0)
    if longest > MAX_STOP_CHARACTERS:
        raise InvalidRequestError(
            f"stop has a text of {longest} characters, at most {MAX_STOP_CHARACTERS} are allowed; send its beginning",
            field="stop",
        )
