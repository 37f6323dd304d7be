"""The words that travel between a dialect and an engine; no JSON, no library, no behaviour.

A dialect makes a `GenerationRequest`; the generator turns it into one `SequenceRequest` per answer wanted; an engine
gives back `TokenChunk`s; the dialect gets `TextPiece`s and, at the end of each sequence, its `FinishReason`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import msgspec

Message: TypeAlias = Mapping[str, object]
"""One turn of a conversation, in the shape that chat templates read: at least `role` and `content`."""


class FinishReason(StrEnum):
    """Why a sequence ended."""

    STOP = "stop"
    """The model ended its turn, or a stop string was reached."""
    LENGTH = "length"
    """The limit of tokens was reached."""
    CANCELLED = "cancelled"
    """Nobody wanted the rest."""


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How the next token is picked. A temperature of 0 is greedy, and then nothing else but the penalties matters."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    """How many of the likeliest tokens stay in; 0 keeps all."""
    repetition_penalty: float = 1.0
    seed: int | None = None

    @property
    def greedy(self) -> bool:
        return self.temperature == 0


class SequenceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One sequence for an engine to generate."""

    sequence_id: int
    prompt_token_ids: list[int]
    max_tokens: int
    sampling: Sampling
    stop_token_ids: list[int]
    """Tokens that end the sequence, the model's own end of turn among them; they are not part of the answer."""


class TokenChunk(msgspec.Struct, frozen=True, array_like=True):
    """What one sequence gained in one step; `finish` is set on its last chunk only."""

    sequence_id: int
    token_ids: list[int]
    finish: FinishReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """What a client asked for, in nobody's dialect."""

    request_id: str
    prompt: str | None = None
    messages: tuple[Message, ...] | None = None
    raw: bool = False
    """Take the prompt as it is, without the model's chat template."""
    max_tokens: int | None = None
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False
    """Go on past the model's own end of turn, to `max_tokens`; for measuring."""
    num_sequences: int = 1


@dataclass(frozen=True, slots=True)
class TextPiece:
    """Text that became ready, of one of the sequences asked for; `finish` is set on a sequence's last piece only."""

    sequence: int
    text: str
    finish: FinishReason | None = None


@dataclass(slots=True)
class Timings:
    """When things happened, in seconds since the request arrived; None until they have."""

    queue_s: float | None = None
    """Until the worker had the request: admission, chat template and tokenizing."""
    first_token_s: float | None = None
    total_s: float | None = None


@dataclass(slots=True)
class Usage:
    """How many tokens went in and came out, over all sequences."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
