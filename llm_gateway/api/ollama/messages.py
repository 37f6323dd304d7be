"""Ollama's messages and tools in the shape that chat templates read."""

from collections.abc import Iterator, Sequence

from llm_gateway.api.ollama.schema import MessageBody, ToolBody, ToolCallBody
from llm_gateway.generation import Message, Tool


def to_messages(bodies: Sequence[MessageBody]) -> tuple[Message, ...]:
    """Translate a conversation.

    Clients of Ollama may leave the ids of calls out, and some templates insist on them: then each call gets one, and
    results take them in the same order. Their nine letters and digits are what Mistral's templates ask for.
    """
    made = _ids()
    waiting: list[str] = []
    messages = []
    for body in bodies:
        message: dict[str, object] = {"role": body.role.lower(), "content": body.content}
        if body.thinking:
            message["reasoning_content"] = message["thinking"] = body.thinking
        if body.tool_calls:
            calls = [(call.id or next(made), call) for call in body.tool_calls]
            waiting = [call_id for call_id, _ in calls]
            message["tool_calls"] = [_call(call_id, call) for call_id, call in calls]
        if message["role"] == "tool":
            message["tool_call_id"] = body.tool_call_id or (waiting.pop(0) if waiting else next(made))
        if name := body.tool_name or body.name:
            message["name"] = name
        messages.append(message)
    return tuple(messages)


def to_tools(bodies: Sequence[ToolBody]) -> tuple[Tool, ...]:
    """Translate the functions that may be called; templates see of them what the client wrote."""
    return tuple(
        Tool(
            name=body.function.name,
            parameters=body.function.parameters,
            definition={"type": "function", "function": body.function.model_dump(exclude_unset=True)},
        )
        for body in bodies
    )


def _call(call_id: str, call: ToolCallBody) -> dict[str, object]:
    function = {"name": call.function.name, "arguments": call.function.arguments}
    return {"id": call_id, "type": "function", "function": function}


def _ids() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"call{number:05d}"
