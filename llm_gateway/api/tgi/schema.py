"""TGI's requests on the wire. What a value may be is said in `limits.py`, in the sentences that TGI's clients match."""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.config import JsonDict

from llm_gateway.api.items import Items

_MAX_UNSIGNED_64 = (1 << 64) - 1
_MAX_SIGNED_32 = (1 << 31) - 1

FiniteFloat: TypeAlias = Annotated[float, Field(allow_inf_nan=False, le=100)]
"""TGI has no upper bound; what is beyond 100 is a slip, and far enough beyond it no 32-bit number."""


class Grammar(BaseModel):
    """What the answer may look like."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["json", "json_object", "json_schema", "regex"] = Field(
        description="json and json_object are the same; json_schema has its schema one level deeper."
    )
    value: JsonValue = Field(None, description="A JSON schema, {schema: ...}, or a regular expression.")


class GenerateParameters(BaseModel):
    """How to generate."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    do_sample: bool | None = Field(None, description="Sample even where no other key asks for it.")
    temperature: FiniteFloat | None = Field(None, description="Over 0; anything but 1 samples.")
    top_k: Annotated[int, Field(le=_MAX_SIGNED_32)] | None = Field(
        None, description="How many of the likeliest tokens stay in; samples."
    )
    top_p: FiniteFloat | None = Field(None, description="Share of probability that stays in, below 1; samples.")
    typical_p: FiniteFloat | None = Field(None, description="Refused but for 1, which changes nothing.")
    repetition_penalty: FiniteFloat | None = Field(None, description="Over 1 discourages repetition.")
    frequency_penalty: FiniteFloat | None = Field(None, description="From -2 to 2, per occurrence so far.")
    seed: Annotated[int, Field(ge=0, le=_MAX_UNSIGNED_64)] | None = Field(
        None, description="Makes sampling repeatable; `details` tells the one that was used."
    )
    max_new_tokens: int | None = Field(None, description="Longest answer; unset is what the context leaves.")
    stop: Items[str] | None = Field(None, description="Up to 4 texts that end the answer, and are its end.")
    truncate: int | None = Field(None, description="Of a longer prompt, keep so many tokens at its end.")
    return_full_text: bool | None = Field(None, description="Put the prompt before the answer.")
    best_of: int | None = Field(None, description="Generate so many, and answer with the likeliest.")
    details: bool | None = Field(None, description="Tell tokens, seed, and why the answer ended.")
    decoder_input_details: bool | None = Field(None, description="Refused: the engine gives none.")
    top_n_tokens: Annotated[int, Field(ge=0)] | None = Field(None, description="Refused but for 0.")
    watermark: bool | None = Field(None, description="Refused but for false.")
    adapter_id: str | None = Field(None, description="Refused: there are no adapters here.")
    grammar: Grammar | None = Field(None, description="Hold the answer to a JSON schema or a regular expression.")


_WITHOUT_PARAMETERS: Final = GenerateParameters.model_validate({"do_sample": True})
_EXAMPLE: Final[JsonDict] = {
    "inputs": "How do I change the port?",
    "parameters": {"max_new_tokens": 48, "details": True},
}


class InputsBody(BaseModel):
    """A text, taken as it is, and how to go on with it."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"examples": [_EXAMPLE]})

    inputs: str = Field(description="The prompt, without a chat template; /chat_tokenize makes one from messages.")
    parameters: GenerateParameters | None = Field(None, description="Unset samples; {} is greedy.")

    @property
    def how(self) -> GenerateParameters:
        """The parameters, or TGI's own where the body has none."""
        return _WITHOUT_PARAMETERS if self.parameters is None else self.parameters


class CompatBody(InputsBody):
    """The same, with the choice of a stream in it."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"examples": [{**_EXAMPLE, "stream": False}]})

    stream: bool | None = Field(None, description="Answer with the events of /generate_stream.")


class TgiContentPart(BaseModel):
    """A part of a turn; texts are joined, everything else is refused."""

    model_config = ConfigDict(extra="ignore")

    type: str
    text: str | None = None


class TgiMessage(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(extra="allow")

    role: str
    content: str | Items[TgiContentPart] | None = None


class TgiFunction(BaseModel):
    """A function that the model may call."""

    model_config = ConfigDict(extra="allow")

    name: str
    parameters: dict[str, JsonValue] = Field(default_factory=dict)


class TgiTool(BaseModel):
    """The same, as chat templates read it."""

    model_config = ConfigDict(extra="allow")

    function: TgiFunction


class ChatTokenizeBody(BaseModel):
    """A conversation, as /v1/chat/completions takes it; only what the prompt is made of is read."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={"examples": [{"messages": [{"role": "user", "content": "How do I change the port?"}]}]},
    )

    messages: Items[TgiMessage] = Field(min_length=1)
    tools: Items[TgiTool] | None = None
