"""Logarithmic probabilities: of the chosen token alone, under the distribution before temperature and filters.

The likeliest token is known only where it is the chosen one: greedy, and with nothing that changes the choice.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from llm_gateway.errors import InvalidRequestError, UnsupportedError
from llm_gateway.generation import GenerationRequest, TokenDetail, ToolUse

_LEAST: Final = -9999.0
"""Stands for a probability of nothing, which JSON has no number for; vLLM writes the same."""


class ChosenToken(msgspec.Struct):
    """A token under `top_logprobs`."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(msgspec.Struct):
    """A token of a chat's answer."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[ChosenToken]


class ChatLogprobs(msgspec.Struct):
    """The tokens of a chat's answer, or of one chunk of it."""

    content: list[TokenLogprob]
    refusal: None = None


class CompletionLogprobs(msgspec.Struct):
    """The tokens of a completion, or of one chunk of it, column by column."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]
    """Where each token begins, in characters of the answer."""


def check_top_logprobs(field: str, asked: int, request: GenerationRequest) -> None:
    """Refuse more than the engine can tell.

    Raises:
        UnsupportedError: tokens that were not chosen would have to be reported.
    """
    if asked == 0 or (asked == 1 and _takes_the_likeliest(request)):
        return
    raise UnsupportedError(
        f"{field} is {asked}, but the engine reports the chosen token alone; ask for 0, or for 1 with temperature 0, "
        "no penalties, no min_tokens and no format",
        field=field,
    )


def check_chat_logprobs(logprobs: bool, top_logprobs: int | None) -> None:
    """Refuse `top_logprobs` without `logprobs`, as OpenAI does."""
    if top_logprobs and not logprobs:
        raise InvalidRequestError(
            f"top_logprobs is {top_logprobs} without logprobs; set logprobs to true", field="top_logprobs"
        )


def chat_logprobs(tokens: Sequence[TokenDetail], *, top: bool) -> ChatLogprobs:
    """Write the tokens of an answer; tokens without a text, such as the end of a turn, are left out."""
    return ChatLogprobs([_chat_entry(token, top) for token in _visible(tokens)])


def completion_logprobs(tokens: Sequence[TokenDetail], offset: int) -> CompletionLogprobs:
    """Write the tokens of an answer of which `offset` characters stand before them."""
    written = CompletionLogprobs([], [], [], [])
    for token in _visible(tokens):
        logprob = _finite(token.logprob)
        written.tokens.append(token.text)
        written.token_logprobs.append(logprob)
        written.top_logprobs.append({token.text: logprob})
        written.text_offset.append(offset)
        offset += len(token.text)
    return written


def _takes_the_likeliest(request: GenerationRequest) -> bool:
    sampling = request.sampling
    held = request.shape is not None or request.tool_use is ToolUse.REQUIRED or request.min_tokens > 0
    return sampling.greedy and not sampling.penalizes and not held


def _chat_entry(token: TokenDetail, top: bool) -> TokenLogprob:
    logprob, spelled = _finite(token.logprob), list(token.text.encode())
    chosen = [ChosenToken(token.text, logprob, spelled)] if top else []
    return TokenLogprob(token.text, logprob, spelled, chosen)


def _visible(tokens: Iterable[TokenDetail]) -> Iterable[TokenDetail]:
    return (token for token in tokens if not token.special)


def _finite(logprob: float) -> float:
    return logprob if logprob > _LEAST else _LEAST
