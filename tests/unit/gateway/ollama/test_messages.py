"""Histories in Ollama's shape become what chat templates read."""

from llm_gateway.api.ollama.messages import to_messages, to_tools
from llm_gateway.api.ollama.schema import MessageBody, ToolBody


def _call(name: str, **keys: object) -> dict[str, object]:
    return {"function": {"name": name, "arguments": {"a": 1}}, **keys}


def _bodies(*messages: dict[str, object]) -> list[MessageBody]:
    return [MessageBody.model_validate(message) for message in messages]


def test_calls_and_results_get_the_ids_that_clients_leave_out() -> None:
    history = to_messages(
        _bodies(
            {"role": "user", "content": "Both, please."},
            {"role": "assistant", "tool_calls": [_call("f"), _call("g")]},
            {"role": "tool", "content": "1", "tool_name": "f"},
            {"role": "tool", "content": "2", "tool_name": "g"},
            {"role": "assistant", "tool_calls": [_call("f")]},
            {"role": "tool", "content": "3"},
        )
    )
    calls = [call["id"] for message in history for call in message.get("tool_calls", ())]  # type: ignore[attr-defined]
    assert calls == ["call00001", "call00002", "call00003"]
    assert [message["tool_call_id"] for message in history if message["role"] == "tool"] == calls
    assert history[2]["name"] == "f"


def test_ids_that_are_given_are_kept() -> None:
    history = to_messages(
        _bodies(
            {"role": "assistant", "content": None, "tool_calls": [_call("f", id="abc")]},
            {"role": "tool", "content": "1", "tool_call_id": "abc"},
        )
    )
    assert history[0]["tool_calls"] == [
        {"id": "abc", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    ]
    assert history[0]["content"] == ""
    assert history[1]["tool_call_id"] == "abc"


def test_reasoning_has_the_names_that_templates_know() -> None:
    (message,) = to_messages(_bodies({"role": "ASSISTANT", "content": "x", "thinking": "y"}))
    assert message == {"role": "assistant", "content": "x", "reasoning_content": "y", "thinking": "y"}


def test_templates_see_of_a_tool_what_the_client_wrote() -> None:
    function = {"name": "f", "parameters": {"type": "object"}, "strict": True}
    (tool,) = to_tools([ToolBody.model_validate({"type": "function", "function": function})])
    assert tool.definition == {"type": "function", "function": function}
    assert (tool.name, tool.parameters) == ("f", {"type": "object"})
