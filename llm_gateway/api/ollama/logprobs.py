"""Tokens with their logarithmic probabilities, as Ollama lists them."""

from collections.abc import Iterable
from typing import Final

from llm_gateway.generation import TokenDetail

_LEAST: Final = -9999.0
"""Stands for a probability of nothing, which JSON has no number for."""


def to_logprobs(tokens: Iterable[TokenDetail], *, top: bool) -> list[dict[str, object]]:
    """List the tokens of the answer; with `top`, each is its own likeliest one, as it is in greedy decoding."""
    entries = [_entry(token) for token in tokens if not token.special]
    return [{**entry, "top_logprobs": [entry]} for entry in entries] if top else entries


def _entry(token: TokenDetail) -> dict[str, object]:
    return {"token": token.text, "logprob": max(token.logprob, _LEAST), "bytes": list(token.text.encode())}
