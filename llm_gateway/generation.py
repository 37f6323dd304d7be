"""The words that travel between a dialect and an engine; no JSON, no library, no behaviour.

A dialect makes a `GenerationRequest`; the generator turns it into one `SequenceRequest` per answer wanted; an engine
gives back `TokenChunk`s; the dialect gets `AnswerPiece`s and, at the end of each sequence, its `FinishReason`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec

Message: TypeAlias = Mapping[str, object]
"""One turn of a conversation, in the shape that chat templates read: at least `role` and `content`."""

UNTIL_CONTEXT_IS_FULL: Final = 1 << 31
"""A `max_tokens` beyond every context, for dialects in which no limit means just that."""


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
    min_p: float = 0.0
    """Tokens less likely than this share of the likeliest one's probability are left out."""
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None

    @property
    def greedy(self) -> bool:
        return self.temperature == 0

    @property
    def penalizes(self) -> bool:
        """Whether tokens that are there already become less likely, or likelier."""
        return (self.repetition_penalty, self.presence_penalty, self.frequency_penalty) != (1, 0, 0)


class SequenceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One sequence for an engine to generate."""

    sequence_id: int
    prompt_token_ids: list[int]
    max_tokens: int
    sampling: Sampling
    stop_token_ids: list[int]
    """Tokens that end the sequence, the model's own end of turn among them; they are not part of the answer."""
    min_tokens: int = 0
    """The sequence does not end by itself before it has so many tokens."""
    logprobs: bool = False
    """Report the natural logarithm of each token's probability."""
    grammar: str | None = None
    """What the answer may look like, in the EBNF that XGrammar reads."""


class TokenChunk(msgspec.Struct, frozen=True, array_like=True):
    """What one sequence gained in one step; `finish` is set on its last chunk only."""

    sequence_id: int
    token_ids: list[int]
    finish: FinishReason | None = None
    logprobs: list[float] | None = None
    """One for each token and then for the stop token, where they were asked for."""
    stop_token_id: int | None = None
    """The token that ended the sequence, on its last chunk; it is not among `token_ids`."""
    stop_logprob: float | None = None
    """That token's own, where logprobs were asked for."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call."""

    name: str
    parameters: Mapping[str, object]
    """JSON schema of the arguments."""
    definition: Mapping[str, object]
    """The whole of it, as chat templates read it: `{"type": "function", "function": {...}}`."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model makes."""

    name: str
    arguments: str
    """JSON text of an object."""


class ToolUse(StrEnum):
    """Whether the answer may be a tool call, must be, or must not."""

    NONE = "none"
    AUTO = "auto"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """The answer is to be a JSON document: any object, or what the schema describes."""

    schema: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class RegexAnswer:
    """The answer is to match a regular expression from its first character to its last."""

    pattern: str


AnswerShape: TypeAlias = JsonAnswer | RegexAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSource:
    """What the prompt is made of: a text, token ids, or messages; and what the chat template makes of it."""

    text: str | None = None
    token_ids: tuple[int, ...] | None = None
    messages: tuple[Message, ...] | None = None
    raw: bool = False
    """Take the text as it is, without the model's chat template."""
    user_spans: tuple[tuple[int, int], ...] = ()
    """Where, in a raw text that the client's own template made, the words of users stand: start and stop."""
    template_variables: Mapping[str, object] = field(default_factory=dict)
    """Variables of the template, such as `enable_thinking`."""
    continue_final_message: bool = False
    """The last message is the beginning of the answer, to be continued instead of answered."""
    add_generation_prompt: bool = True
    keep_last_tokens: int | None = None
    """Of a longer prompt, only so many tokens at its end are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """What a client asked for, in nobody's dialect."""

    request_id: str
    prompt: PromptSource
    max_tokens: int | None = None
    """None is DEFAULT_MAX_TOKENS. What the context does not leave room for is cut, unless `exact_max_tokens`."""
    exact_max_tokens: bool = False
    """Refuse a request whose prompt and `max_tokens` do not fit the context together, instead of cutting."""
    min_tokens: int = 0
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    include_stop: bool = False
    """The stop string that was reached is part of the answer."""
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    """Go on past the model's own end of turn, to `max_tokens`; for measuring."""
    num_sequences: int = 1
    token_details: bool = False
    """Report every token with its text and its logarithmic probability."""
    shape: AnswerShape | None = None
    tools: tuple[Tool, ...] = ()
    tool_use: ToolUse = ToolUse.NONE
    forced_tool: str | None = None
    """With REQUIRED: the one function that is to be called."""
    parallel_tool_calls: bool = True
    split_reasoning: bool = False
    """Keep what a thinking model writes between <think> and </think> apart from its answer."""


@dataclass(frozen=True, slots=True)
class TokenDetail:
    """One token of the answer."""

    token_id: int
    text: str
    """What the text grew by with this token; empty while a character or a stop string is not yet whole."""
    logprob: float
    special: bool = False


@dataclass(frozen=True, slots=True)
class AnswerPiece:
    """What became ready of one of the sequences asked for; `finish` is set on a sequence's last piece only."""

    sequence: int
    text: str = ""
    finish: FinishReason | None = None
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tokens: tuple[TokenDetail, ...] = ()
    """Where `token_details` were asked for."""
    stopped_by: str | int | None = None
    """On a last piece that says STOP: the stop string or the token that was reached."""


@dataclass(slots=True)
class Timings:
    """When things happened, in seconds since the request arrived; None until they have."""

    admitted_s: float | None = None
    """Until it had its place, and a model that is loaded on demand was there."""
    queue_s: float | None = None
    """Until the worker had the request: admission, chat template and tokenizing."""
    first_token_s: float | None = None
    total_s: float | None = None


@dataclass(slots=True)
class Usage:
    """How many tokens went in and came out, over all sequences."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Tokens of the prompt that the prefix cache had already."""
    completion_tokens: int = 0
