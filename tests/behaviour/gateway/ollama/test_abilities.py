"""Tool calls and thinking, of a model whose answer is what the last message says."""

from collections.abc import Mapping
from typing import Any

import ollama
import pytest

from tests.support.gateway_process import GatewayProcess

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a place.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    },
}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"place": "Zürich"}}\n</tool_call>'


def _say(text: str) -> list[Mapping[str, Any]]:
    return [{"role": "user", "content": text}]


def test_a_call_has_its_arguments_as_an_object(able: GatewayProcess) -> None:
    body = {"model": "demo", "messages": _say(CALL), "tools": [WEATHER], "think": False, "stream": False}
    answer = able.client.post("/api/chat", json=body).json()
    (call,) = answer["message"]["tool_calls"]
    assert call["function"] == {"index": 0, "name": "weather", "arguments": {"place": "Zürich"}}
    assert call["id"].isalnum()
    assert len(call["id"]) == 9, "Mistral's templates take no other ids back"
    assert answer["done_reason"] == "stop"


def test_the_official_client_reads_calls(able_client: ollama.Client) -> None:
    answer = able_client.chat("demo", _say(f"Let me look. {CALL}{CALL}"), tools=[WEATHER], think=False)
    assert answer.message.content == "off: Let me look."
    assert [call.function.arguments for call in answer.message.tool_calls or ()] == [{"place": "Zürich"}] * 2
    *pieces, last = able_client.chat(
        "demo", _say(f"Let me look. {CALL}{CALL}"), tools=[WEATHER], think=False, stream=True
    )
    assert "".join(piece.message.content or "" for piece in pieces) == answer.message.content
    assert [call.function.name for piece in pieces for call in piece.message.tool_calls or ()] == ["weather"] * 2
    assert (last.done, last.done_reason, last.message.tool_calls) == (True, "stop", None)


def test_calls_of_one_stream_are_numbered(able: GatewayProcess) -> None:
    body = {"model": "demo", "messages": _say(CALL + CALL), "tools": [WEATHER]}
    text = able.client.post("/api/chat", json=body).text
    assert text.count('"index":0') == text.count('"index":1') == 1


def test_a_python_function_is_a_tool(able_client: ollama.Client) -> None:
    def weather(place: str) -> str:
        """Tell the weather.

        Args:
            place: where
        """
        return place

    answer = able_client.chat("demo", _say(CALL), tools=[weather])
    assert answer.message.tool_calls is not None
    assert weather(**answer.message.tool_calls[0].function.arguments) == "Zürich"


def test_a_conversation_goes_on_after_a_call(able_client: ollama.Client) -> None:
    asked = able_client.chat("demo", _say(CALL), tools=[WEATHER])
    history: list[Mapping[str, Any] | ollama.Message] = [
        *_say("How is Zürich?"),
        asked.message,
        {"role": "tool", "content": "Sunny.", "tool_name": "weather"},
    ]
    answer = able_client.chat("demo", history, tools=[WEATHER], think=False)
    assert answer.message.content == "off: Sunny."


def test_a_model_without_tools_says_so(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match='"demo" does not support tools') as refused:
        client.chat("demo", _say("x"), tools=[WEATHER])
    assert refused.value.status_code == 400


def test_reasoning_is_kept_apart(able_client: ollama.Client) -> None:
    # The template's own words come first, so that reasoning would no longer be at the beginning: raw has none.
    prompt = "<think>Seven is a number.</think>Seven it is.<|im_end|>"
    answer = able_client.generate("demo", prompt, raw=True)
    assert (answer.thinking, answer.response) == ("Seven is a number.", "Seven it is.")
    *pieces, last = able_client.generate("demo", prompt, raw=True, stream=True)
    assert "".join(piece.thinking or "" for piece in pieces) == "Seven is a number."
    assert "".join(piece.response or "" for piece in pieces) == "Seven it is."
    assert all(piece.response is not None for piece in pieces)
    assert (last.thinking, last.response) == (None, "")


@pytest.mark.parametrize(("think", "told"), [(None, "on"), (True, "on"), ("low", "on"), (False, "off")])
def test_the_template_is_told_whether_to_think(able_client: ollama.Client, think: bool | str | None, told: str) -> None:
    assert able_client.generate("demo", "hello", think=think).response == f"{told}: hello"
    assert able_client.chat("demo", _say("hello"), think=think).message.content == f"{told}: hello"


def test_a_model_that_does_not_think_says_so_only_where_it_is_asked_to(client: ollama.Client) -> None:
    assert client.generate("demo", "x", think=False, options={"num_predict": 1}).done
    for ask in (lambda: client.generate("demo", "x", think=True), lambda: client.chat("demo", _say("x"), think="high")):
        with pytest.raises(ollama.ResponseError, match='"demo" does not support thinking') as refused:
            ask()
        assert refused.value.status_code == 400


def test_thinking_within_a_format_is_refused(able_client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="think and format cannot be used together"):
        able_client.generate("demo", "x", think=True, format="json")


def test_abilities_are_shown(able_client: ollama.Client) -> None:
    assert able_client.show("demo").capabilities == ["completion", "tools", "thinking"]
