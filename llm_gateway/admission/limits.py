"""Limits that are checked before anything is computed: how long a prompt and an answer may be, how many answers."""

from llm_gateway.errors import InvalidRequestError, PromptTooLongError


def answer_tokens(prompt_tokens: int, asked_tokens: int | None, default_tokens: int, context_tokens: int) -> int:
    """Return how many tokens the answer may have.

    What was asked for is cut to what the context leaves, and the answer then ends with `length`; a prompt that leaves
    nothing is refused.

    Raises:
        PromptTooLongError: the prompt fills the context, or more.
        InvalidRequestError: the prompt is empty.
    """
    if prompt_tokens == 0:
        raise InvalidRequestError("prompt is empty, expected at least one token of text")
    room = context_tokens - prompt_tokens
    if room < 1:
        raise PromptTooLongError(
            f"the prompt has {prompt_tokens} tokens and the context {context_tokens}, which leaves no room to answer; "
            "shorten the prompt or raise MAX_CONTEXT_TOKENS"
        )
    return min(asked_tokens or default_tokens, room)


def check_num_sequences(asked: int, allowed: int) -> None:
    """Refuse more answers per request than `MAX_NUM_SEQUENCES`."""
    if asked > allowed:
        raise InvalidRequestError(f"num_sequences is {asked}, at most {allowed} are allowed (MAX_NUM_SEQUENCES)")
