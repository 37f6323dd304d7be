"""TGI's answers on the wire; a field with a default is left out where it has that."""

from typing import Literal, TypeAlias

from msgspec import Struct

from llm_gateway.generation import FinishReason, TokenDetail

FinishName: TypeAlias = Literal["length", "eos_token", "stop_sequence"]


class Token(Struct):
    """One token of the answer."""

    id: int
    text: str
    logprob: float
    special: bool


class BestOfSequence(Struct):
    """One of the answers that were not the best."""

    generated_text: str
    finish_reason: FinishName
    generated_tokens: int
    seed: int | None
    prefill: list[Token]
    tokens: list[Token]


class Details(Struct, omit_defaults=True):
    """How the answer came about."""

    finish_reason: FinishName
    generated_tokens: int
    seed: int | None
    """None where nothing was drawn."""
    prefill: list[Token]
    """Always empty: only `decoder_input_details` asks for more."""
    tokens: list[Token]
    best_of_sequences: list[BestOfSequence] | None = None


class GenerateAnswer(Struct, omit_defaults=True):
    """The answer."""

    generated_text: str
    details: Details | None = None


class StreamDetails(Struct):
    """How the answer came about, in the last event of a stream."""

    finish_reason: FinishName
    generated_tokens: int
    seed: int | None
    input_length: int


class SimpleToken(Struct):
    """A token and its place in the text, in characters."""

    id: int
    text: str
    start: int
    stop: int


class ChatTokenizeAnswer(Struct):
    """A conversation as the model reads it."""

    tokenize_response: list[SimpleToken]
    templated_text: str


class Info(Struct, kw_only=True):
    """What is served, and up to which limits."""

    model_id: str
    model_sha: str | None
    model_dtype: str | None
    model_device_type: str
    model_pipeline_tag: str
    max_concurrent_requests: int
    max_best_of: int
    max_stop_sequences: int
    max_input_length: int
    """What `max_input_tokens` was called before TGI 2.0."""
    max_input_tokens: int
    max_total_tokens: int
    validation_workers: int
    max_client_batch_size: int
    router: str
    version: str
    sha: str | None
    docker_label: str | None


def wire_token(token: TokenDetail) -> Token:
    """Write a token; a special one has no text, so that the texts of all tokens together are the answer."""
    return Token(token.token_id, token.text, token.logprob, is_special(token))


def is_special(token: TokenDetail) -> bool:
    """Whether clients may leave it out; not if it carries text that was held back before it."""
    return token.special and not token.text


def finish_name(finish: FinishReason, stopped_by: str | int | None) -> FinishName:
    """Name the end of a sequence."""
    if finish is not FinishReason.STOP:
        return "length"
    return "stop_sequence" if isinstance(stopped_by, str) else "eos_token"
