"""What clients may send, as far as this gateway looks at it; the fields that it must refuse are in `unsupported.py`."""

from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from llm_gateway.api.items import Items
from llm_gateway.api.openai.messages import ChatMessage
from llm_gateway.api.openai.prompts import Prompts
from llm_gateway.api.openai.tools import ToolDefinition

_MOST = (1 << 31) - 1
"""Largest number that engines take for a count; what is beyond it is no limit either."""

_QUESTION: JsonDict = {"role": "user", "content": "How do I change the port?"}

TokenId: TypeAlias = Annotated[int, Field(ge=0, le=_MOST)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=_MOST)]
Penalty: TypeAlias = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _from_flag(value: object) -> object:
    """Read the flag that chat has under this name: true is the chosen token alone."""
    return (0 if value else None) if isinstance(value, bool) else value


class StreamOptions(BaseModel):
    """What a stream has beside the answer."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool | None = Field(None, description="A last chunk with the usage, and `usage: null` before it.")


class GenerationFields(BaseModel):
    """The fields that chat and completions share. What is not listed is kept apart, to be refused or ignored."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    model: str | None = Field(None, description="Unset or empty is the served model.")
    max_tokens: Count | None = Field(None, description="Longest answer, in tokens; cut to what the context leaves.")
    min_tokens: Annotated[int, Field(ge=0, le=_MOST)] | None = None
    n: Count | None = Field(None, description="How many answers, up to MAX_NUM_SEQUENCES.")
    best_of: Count | None = Field(None, description="As many as n, or unset.")
    temperature: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = Field(
        None, description="0 is greedy; unset is 1."
    )
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1, le=_MOST)] | None = Field(None, description="-1 and 0 keep every token.")
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    seed: int | None = Field(None, description="Any integer; the same one gives the same answer.")
    stop: Annotated[Items[str], BeforeValidator(_as_list, json_schema_input_type=str | list[str])] | None = Field(
        None, max_length=16, description="A text or up to 16 that end the answer."
    )
    stop_token_ids: Items[TokenId] | None = Field(None, max_length=256)
    include_stop_str_in_output: bool | None = None
    ignore_eos: bool | None = Field(None, description="Go on past the model's end of turn, for measuring.")
    truncate_prompt_tokens: Count | None = Field(None, description="Keep only so many tokens at the prompt's end.")
    stream: bool | None = None
    stream_options: StreamOptions | None = Field(None, description="Read where `stream` is true.")
    response_format: dict[str, object] | None = Field(None, description="text, json_object or json_schema.")
    structured_outputs: dict[str, object] | None = Field(None, description="One of json, json_object, regex, choice.")


class ChatBody(GenerationFields):
    """The body of /v1/chat/completions."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": "demo", "messages": [_QUESTION], "max_tokens": 64, "temperature": 0},
                {"messages": [_QUESTION], "stream": True, "stream_options": {"include_usage": True}},
            ]
        }
    )

    messages: Items[ChatMessage] = Field(min_length=1)
    max_completion_tokens: Count | None = Field(None, description="The newer name of max_tokens, and wins over it.")
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = Field(
        None, description="0, or 1 where the answer is greedy: the engine reports the chosen token alone."
    )
    tools: Items[ToolDefinition] | None = None
    tool_choice: object = Field(
        None,
        description="none, auto, required, or a function that is to be called.",
        examples=["auto", {"type": "function", "function": {"name": "get_weather"}}],
    )
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = Field(None, description="none sets enable_thinking to false; others are ignored.")
    chat_template_kwargs: dict[str, object] | None = Field(None, description="Variables of the model's chat template.")
    documents: Items[dict[str, object]] | None = Field(None, description="For chat templates that read documents.")
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = Field(None, description="Go on with the last message, an assistant's.")


class CompletionBody(GenerationFields):
    """The body of /v1/completions."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": "demo", "prompt": "The port is set by", "max_tokens": 16},
                {"prompt": ["One,", "Two,"], "max_tokens": 4, "temperature": 0},
            ]
        }
    )

    prompt: Prompts
    echo: bool | None = Field(None, description="The prompt is the beginning of the answer's text.")
    logprobs: Annotated[Annotated[int, Field(ge=0)] | None, BeforeValidator(_from_flag)] = Field(
        None, description="0, or 1 where the answer is greedy: the engine reports the chosen token alone."
    )


class TokenizeBody(BaseModel):
    """The body of /tokenize: a text as it is, or a conversation in the model's chat template."""

    model_config = ConfigDict(
        extra="ignore",
        protected_namespaces=(),
        json_schema_extra={"examples": [{"prompt": "How do I change the port?"}, {"messages": [_QUESTION]}]},
    )

    model: str | None = None
    prompt: str | None = None
    messages: Items[ChatMessage] | None = Field(None, min_length=1)
    tools: Items[ToolDefinition] | None = None
    add_special_tokens: bool | None = Field(None, description="Of a prompt; unset is true.")
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    chat_template_kwargs: dict[str, object] | None = None
    return_token_strs: bool | None = None

    @model_validator(mode="after")
    def _one_of_prompt_and_messages(self) -> "TokenizeBody":
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("send either prompt or messages")
        return self


class DetokenizeBody(BaseModel):
    """The body of /detokenize."""

    model_config = ConfigDict(
        extra="ignore", protected_namespaces=(), json_schema_extra={"examples": [{"tokens": [72, 105]}]}
    )

    model: str | None = None
    tokens: Items[TokenId]


class EmbeddingsBody(BaseModel):
    """The body of /v1/embeddings, of which nothing is read but the model."""

    model_config = ConfigDict(
        extra="ignore",
        protected_namespaces=(),
        json_schema_extra={"examples": [{"model": "demo", "input": "How do I change the port?"}]},
    )

    model: str | None = None
