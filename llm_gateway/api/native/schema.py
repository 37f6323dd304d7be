"""The native dialect on the wire. Unknown keys are ignored, so that clients of similar servers just work."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from llm_gateway.api.items import Items


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class GenerationKeys(BaseModel):
    """How to generate; these keys may stand in `config` or beside the prompt, and `config` wins."""

    model_config = ConfigDict(extra="ignore")

    max_tokens: int | None = Field(None, ge=1, description="Longest answer, in tokens.")
    max_new_tokens: int | None = Field(None, ge=1, description="Another name for max_tokens.")
    max_length: int | None = Field(None, ge=1, description="Another name for max_tokens; the prompt does not count.")
    temperature: float | None = Field(None, ge=0, le=100, description="0 is greedy; needs no do_sample.")
    top_k: int | None = Field(
        None, ge=0, le=(1 << 31) - 1, description="How many of the likeliest tokens stay in; 0 keeps all."
    )
    top_p: float | None = Field(None, gt=0, le=1, description="Share of probability that stays in.")
    do_sample: bool | None = Field(None, description="false is greedy; unset is greedy unless a sampling key is set.")
    num_sequences: int | None = Field(None, ge=1, description="How many answers; sampled ones differ.")
    seed: int | None = Field(None, ge=0, description="Makes sampling repeatable.")
    stop: Annotated[Items[str], BeforeValidator(_as_list)] | None = Field(
        None, max_length=16, description="Texts that end the answer and are not part of it."
    )
    repetition_penalty: float | None = Field(None, gt=0, le=10, description="Over 1 discourages repetition.")


class ChatMessage(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(extra="allow")

    role: str
    content: str


class GenerateBody(GenerationKeys):
    """A prompt or messages, and how to answer them."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={"examples": [{"prompt": "How do I change the port?", "config": {"max_tokens": 64}}]},
    )

    prompt: str | None = Field(None, description="One turn of the user, put into the model's chat template.")
    messages: Items[ChatMessage] | None = Field(None, min_length=1, description="A conversation, instead of a prompt.")
    raw: bool = Field(False, description="Take the prompt as it is, without the chat template.")
    model: str | None = Field(None, description="Which model; unset is the one that is served.")
    config: GenerationKeys | None = Field(None, description="The generation keys, for clients that nest them.")

    @model_validator(mode="after")
    def _one_of_prompt_and_messages(self) -> "GenerateBody":
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("send either prompt or messages")
        return self


class UsageBody(BaseModel):
    """Tokens in and out, over all answers."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class TimingsBody(BaseModel):
    """Milliseconds since the request arrived."""

    queue_ms: float
    first_token_ms: float | None
    total_ms: float
    tokens_per_s: float | None = Field(description="Decoding speed, after the first token.")


class GenerateAnswer(BaseModel):
    """The answer, under the names that clients of such servers read."""

    output: str
    all_outputs: list[str]
    text: str
    model: str
    finish_reason: str
    usage: UsageBody
    timings: TimingsBody


class InferAnswer(GenerateAnswer):
    """The same, with the total time where clients of `/infer` look for it."""

    latency_ms: float


class CacheAnswer(BaseModel):
    """What clearing the cache gave back."""

    status: str
    freed_bytes: int
