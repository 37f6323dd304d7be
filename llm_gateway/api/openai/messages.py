"""Messages: from OpenAI's shape to the one that chat templates read."""

import hashlib
import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from llm_gateway.api.items import Items
from llm_gateway.errors import InvalidRequestError
from llm_gateway.generation import Message
from llm_gateway.tool_calls.call_json import load_json

_TEXT_KEYS = {"text": "text", "refusal": "refusal"}
_SHORT_ID = re.compile(r"[a-zA-Z0-9]{9}")


def _text_of(content: object) -> object:
    """Join the parts of a content that is a list; what is no list is for validation to judge."""
    return "\n".join(_text_of_part(part) for part in content) if isinstance(content, list) else content


def _text_of_part(part: object) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("type") if isinstance(part, dict) else None
    key = _TEXT_KEYS.get(kind) if isinstance(kind, str) else None
    if not isinstance(part, dict) or key is None:
        raise ValueError(f"a part of type {kind!r} cannot be read, this model reads text; send parts of type 'text'")
    text = part.get(key)
    if not isinstance(text, str):
        raise ValueError(f"a part of type {kind!r} has no {key}")
    return text


class CalledFunction(BaseModel):
    """A function and the arguments it was called with, as JSON text, or as an object as some clients send them."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(min_length=1)
    arguments: object = Field("{}", description="JSON text of an object.", examples=['{"city": "Bern"}'])

    @field_validator("arguments")
    @classmethod
    def _as_object(cls, arguments: object) -> object:
        """Give templates the object that they write out in the model's own format."""
        if isinstance(arguments, str):
            arguments = load_json(arguments) if arguments.strip() else {}
        if arguments is not None and not isinstance(arguments, dict):
            raise ValueError("expected the JSON text of an object")
        return arguments or {}


class PastCall(BaseModel):
    """A call that the model made earlier in the conversation."""

    model_config = ConfigDict(extra="ignore")

    id: str = ""
    function: CalledFunction


class ChatMessage(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(extra="ignore")

    role: str = Field(min_length=1, description="system, developer, user, assistant or tool.")
    content: Annotated[
        str | None, BeforeValidator(_text_of, json_schema_input_type=str | list[dict[str, object]] | None)
    ] = Field(None, description="A text, or a list of parts of type text.")
    name: str | None = None
    tool_calls: Items[PastCall] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = Field(None, description="What the model thought before this answer.")


def template_messages(messages: Sequence[ChatMessage]) -> tuple[Message, ...]:
    """Write the messages as chat templates expect them.

    Raises:
        InvalidRequestError: a message is one of the deprecated kind for functions.
    """
    names: dict[str, str] = {}
    written: list[Message] = []
    for message in messages:
        if message.role == "function":
            raise InvalidRequestError(
                "messages has the role 'function', which tools have replaced; send role 'tool' with its tool_call_id",
                field="messages",
            )
        names.update({call.id: call.function.name for call in message.tool_calls or ()})
        written.append(_template_message(message, names))
    return tuple(written)


def _template_message(message: ChatMessage, names: dict[str, str]) -> Message:
    # Templates join the content to other text, so null, which goes with calls, is an empty one.
    written: dict[str, object] = {
        "role": "system" if message.role == "developer" else message.role,
        "content": message.content or "",
    }
    if message.reasoning_content:
        written["reasoning_content"] = message.reasoning_content
    if message.tool_calls:
        written["tool_calls"] = [_template_call(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        written["tool_call_id"] = _short_id(message.tool_call_id)
    name = message.name or names.get(message.tool_call_id or "")
    if name:
        written["name"] = name
    return written


def _template_call(call: PastCall) -> dict[str, object]:
    function = {"name": call.function.name, "arguments": call.function.arguments}
    return {"id": _short_id(call.id), "type": "function", "function": function}


def _short_id(call_id: str) -> str:
    """Give a call the same id wherever it is named: Mistral's templates refuse others than nine letters and digits."""
    if _SHORT_ID.fullmatch(call_id):
        return call_id
    return hashlib.sha256(call_id.encode(errors="surrogatepass")).hexdigest()[:9]
