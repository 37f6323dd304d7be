"""The request bodies of Ollama's API (its docs/api.md and api/types.go)."""

from typing import Annotated, Final

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from llm_gateway.api.items import Items
from llm_gateway.api.ollama.go_duration import parse_keep_alive
from llm_gateway.api.ollama.nulls import BodyWithoutNulls
from llm_gateway.api.ollama.options import Options

_QUESTION: Final = "How do I change the port?"
_THINK_LEVELS: Final = ("low", "medium", "high", "max")


def _check_format(value: object) -> object:
    if value in ("", "json") or isinstance(value, dict):
        return value
    raise ValueError('invalid format; expected "json" or a JSON schema object')


def _check_think(value: object) -> object:
    if isinstance(value, bool) or value in _THINK_LEVELS:
        return value
    raise ValueError('invalid think value (must be "high", "medium", "low", "max", true, or false)')


Format = Annotated[
    str | dict[str, object],
    BeforeValidator(_check_format),
    WithJsonSchema({"anyOf": [{"const": "json"}, {"type": "object"}]}),
]
Think = Annotated[
    bool | str,
    BeforeValidator(_check_think),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"enum": ["low", "medium", "high", "max"]}]}),
]
KeepAlive = Annotated[
    float,
    BeforeValidator(parse_keep_alive),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "examples": ["5m"]}]}),
]


class ModelBody(BodyWithoutNulls):
    """A body that is about one model."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"model": "demo"}]})

    model: str = Field("", description="A name such as demo or demo:latest.")
    name: str = Field("", description="The older key for model.")

    @property
    def asked(self) -> str:
        """The name that was asked for, under either key."""
        return self.model or self.name


class AnswerBody(BodyWithoutNulls):
    """What /api/generate and /api/chat have in common."""

    model: str = ""
    stream: bool = Field(True, description="One JSON object a line, or false for one alone.")
    format: Format = Field("", description="json, or a JSON schema that the answer is to satisfy.")
    options: Options = Field(default_factory=lambda: Options.model_validate({}))
    keep_alive: KeepAlive | None = Field(
        None,
        description="Accepted; what is loaded stays loaded. 0 without a prompt or messages unloads it.",
    )
    think: Think | None = Field(None, description="Unset thinks where the model can, apart from the answer.")
    logprobs: bool = Field(False, description="Report each token's logarithmic probability.")
    top_logprobs: int = Field(0, description="With logprobs and temperature 0, 1 is possible.")

    @property
    def unloads(self) -> bool:
        """Whether a body without words is to unload the model, and not to load it."""
        return self.keep_alive == 0


class GenerateBody(AnswerBody):
    """One prompt."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "demo", "prompt": _QUESTION, "stream": False, "options": {"temperature": 0}}]
        }
    )

    prompt: str = Field("", description="One turn of the user; none loads the model.")
    system: str = Field("", description="System message before it.")
    template: str = Field("", description="Go template to use instead of the model's own chat template.")
    raw: bool = Field(False, description="Take the prompt as it is.")
    suffix: str = Field("", description="Not supported: text that comes after the answer.")
    images: Items[str] = Field(default_factory=list, description="Not supported.")
    context: Items[int] = Field(default_factory=list, description="Not supported: an earlier conversation's tokens.")


class FunctionBody(BodyWithoutNulls):
    """A call in the history."""

    name: str
    arguments: dict[str, object] = Field(default_factory=dict)


class ToolCallBody(BodyWithoutNulls):
    """A call that the model made in an earlier turn."""

    id: str = ""
    function: FunctionBody


class MessageBody(BodyWithoutNulls):
    """One turn of a conversation."""

    role: str
    content: str = ""
    thinking: str = ""
    images: Items[str] = Field(default_factory=list)
    tool_calls: Items[ToolCallBody] = Field(default_factory=list)
    tool_name: str = ""
    name: str = ""
    tool_call_id: str = ""


class ToolFunctionBody(BodyWithoutNulls):
    """A function that may be called."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(min_length=1)
    description: str = ""
    parameters: dict[str, object] = Field(default_factory=dict)


class ToolBody(BodyWithoutNulls):
    """A tool, of which there is one kind."""

    type: str = "function"
    function: ToolFunctionBody


class ChatBody(AnswerBody):
    """A conversation."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "demo", "messages": [{"role": "user", "content": _QUESTION}], "stream": False}]
        }
    )

    messages: Items[MessageBody] = Field(default_factory=list, description="None loads the model.")
    tools: Items[ToolBody] = Field(default_factory=list, description="Functions that the model may call.")


class PullBody(ModelBody):
    """A model to fetch."""

    stream: bool = True


class EmbedBody(ModelBody):
    """Texts to embed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"model": "demo", "input": "A sentence."}]})
