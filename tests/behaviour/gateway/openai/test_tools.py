"""Tools: forced calls with the real engine, and calls that a model makes by itself, as clients see them."""

import json
from typing import Any, Literal

import pytest
from openai import OpenAI, pydantic_function_tool
from pydantic import BaseModel

from tests.behaviour.gateway.openai.conftest import official_client
from tests.support.gateway_process import GatewayProcess

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "enum": ["Bern", "Rome"]},
                "days": {"type": "integer", "minimum": 1, "maximum": 7},
            },
            "required": ["city", "days"],
        },
        "strict": True,
    },
}
TIME: Any = {"type": "function", "function": {"name": "get_time"}}
ASKED: Any = [{"role": "user", "content": "What is the weather in Bern?"}]


def _is_weather(arguments: str) -> bool:
    read = json.loads(arguments)
    return set(read) == {"city", "days"} and read["city"] in {"Bern", "Rome"} and 1 <= read["days"] <= 7


def test_a_named_function_is_called_with_arguments_that_validate(client: OpenAI) -> None:
    choice: Any = {"type": "function", "function": {"name": "get_weather"}}
    answer = client.chat.completions.create(
        model="demo",
        messages=ASKED,
        tools=[TIME, WEATHER],
        tool_choice=choice,
        parallel_tool_calls=False,
    )
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls"
    assert message.content is None
    assert message.tool_calls is not None
    (call,) = message.tool_calls
    assert call.type == "function"
    assert call.id.startswith("call_")
    assert call.function.name == "get_weather"
    assert _is_weather(call.function.arguments)


def test_a_required_call_is_made_whatever_the_temperature(client: OpenAI) -> None:
    for seed in range(4):
        answer = client.chat.completions.create(
            model="demo", messages=ASKED, tools=[TIME, WEATHER], tool_choice="required", temperature=2, seed=seed
        )
        calls = answer.choices[0].message.tool_calls or []
        assert calls
        assert len({call.id for call in calls}) == len(calls)
        for call in calls:
            assert call.type == "function"
            assert call.function.name == "get_time" or _is_weather(call.function.arguments)


def test_a_streamed_call_is_put_together_by_the_client(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model="demo", messages=ASKED, tools=[WEATHER], tool_choice="required", parallel_tool_calls=False
    ) as stream:
        stream.until_done()
        final = stream.get_final_completion()
    assert final.choices[0].finish_reason == "tool_calls"
    (call,) = final.choices[0].message.tool_calls or []
    assert _is_weather(call.function.arguments)


def test_allowed_tools_are_the_only_ones_that_are_called(client: OpenAI) -> None:
    allowed: Any = {
        "type": "allowed_tools",
        "allowed_tools": {
            "mode": "required",
            "tools": [{"type": "function", "function": {"name": "get_weather"}}],
        },
    }
    answer = client.chat.completions.create(
        model="demo", messages=ASKED, tools=[TIME, WEATHER], tool_choice=allowed, temperature=2, seed=1
    )
    assert {call.function.name for call in answer.choices[0].message.tool_calls or []} == {"get_weather"}  # type: ignore[union-attr]


def test_parse_gives_the_arguments_as_the_callers_own_class(client: OpenAI) -> None:
    class GetWeather(BaseModel):
        city: Literal["Bern", "Rome"]
        days: Literal[1, 7]

    answer = client.chat.completions.parse(
        model="demo",
        messages=ASKED,
        tools=[pydantic_function_tool(GetWeather)],
        tool_choice="required",
        parallel_tool_calls=False,
    )
    (call,) = answer.choices[0].message.tool_calls or []
    assert isinstance(call.function.parsed_arguments, GetWeather)


def test_a_choice_of_none_and_a_format_go_together(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="demo",
        messages=ASKED,
        tools=[WEATHER],
        tool_choice="none",
        response_format={"type": "json_object"},
        max_tokens=200,
    )
    assert answer.choices[0].message.tool_calls is None


def test_a_model_without_a_place_for_tools_says_so(demo: GatewayProcess) -> None:
    answer = demo.client.post("/v1/chat/completions", json={"messages": ASKED, "tools": [WEATHER]})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "tools"
    assert "does not support tools" in answer.json()["error"]["message"]


SAID = 'One moment.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Z\u00fcrich"}}\n</tool_call>'


def test_a_call_that_the_model_chose_to_make_is_no_text(parrot: GatewayProcess) -> None:
    with official_client(parrot) as client:
        answer = client.chat.completions.create(
            model="demo", messages=[{"role": "user", "content": SAID}], tools=[WEATHER]
        )
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == "One moment."
    (call,) = choice.message.tool_calls or []
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"city": "Z\u00fcrich"}


@pytest.mark.parametrize("stream", [False, True])
def test_without_parallel_calls_only_the_first_is_given_out(parrot: GatewayProcess, stream: bool) -> None:
    asked: Any = {
        "model": "demo",
        "messages": [{"role": "user", "content": SAID + "\n" + SAID.removeprefix("One moment.\n")}],
        "tools": [WEATHER],
    }
    counts = []
    with official_client(parrot) as client:
        for parallel in (True, False):
            if stream:
                chunks = list(client.chat.completions.create(**asked, parallel_tool_calls=parallel, stream=True))
                counts.append(sum(1 for chunk in chunks for call in chunk.choices[0].delta.tool_calls or [] if call.id))
                assert chunks[-1].choices[0].finish_reason == "tool_calls"
            else:
                answer = client.chat.completions.create(**asked, parallel_tool_calls=parallel)
                counts.append(len(answer.choices[0].message.tool_calls or []))
    assert counts == [2, 1]


def test_without_tools_the_same_text_stays_text(parrot: GatewayProcess) -> None:
    with official_client(parrot) as client:
        answer = client.chat.completions.create(model="demo", messages=[{"role": "user", "content": SAID}])
    assert answer.choices[0].message.content == SAID
    assert answer.choices[0].finish_reason == "stop"


def test_reasoning_has_a_field_of_its_own(parrot: GatewayProcess) -> None:
    with official_client(parrot) as client:
        answer = client.chat.completions.create(
            model="demo", messages=[{"role": "user", "content": "<think>\nHm.\n</think>\n\nYes."}]
        )
    message = answer.choices[0].message
    assert message.content == "Yes."
    assert message.to_dict()["reasoning_content"] == "Hm."


def test_templates_are_given_what_they_were_written_for(witness: GatewayProcess) -> None:
    call = {"id": "call_0123456789", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    messages = [
        {"role": "developer", "content": [{"type": "text", "text": "Be"}, {"type": "text", "text": "brief."}]},
        {"role": "user", "content": "Go.", "name": "Ada"},
        {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_0123456789", "content": "done"},
    ]
    seen, tools, thinking = _seen(witness, messages=messages, tools=[WEATHER, TIME], reasoning_effort="none")
    assert seen[0] == {"role": "system", "content": "Be\nbrief."}
    assert seen[1] == {"role": "user", "content": "Go.", "name": "Ada"}
    assert (seen[2]["content"], seen[2]["reasoning_content"]) == ("", "Hm.")
    (past,) = seen[2]["tool_calls"]
    assert past["function"] == {"name": "f", "arguments": {"a": 1}}
    assert seen[3]["name"] == "f"
    assert seen[3]["tool_call_id"] == past["id"]
    assert len(past["id"]) == 9
    assert [tool["function"]["name"] for tool in tools] == ["get_weather", "get_time"]
    assert "strict" not in tools[0]["function"]
    assert tools[1]["function"]["parameters"] == {"type": "object", "properties": {}}
    assert thinking == "False"


def _seen(running: GatewayProcess, **body: object) -> tuple[Any, Any, str]:
    """What the template wrote, which the fake engine repeats; as completions, so that nothing is taken out of it."""
    answer = running.client.post("/v1/chat/completions", json={**body, "max_tokens": 1})
    num_tokens = answer.json()["usage"]["prompt_tokens"]
    said = running.client.post("/v1/chat/completions", json={**body, "max_tokens": num_tokens}).json()
    messages, tools, thinking = said["choices"][0]["message"]["content"].split("\n")
    return json.loads(messages), json.loads(tools), thinking


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tool_choice": "required"}, "no tools"),
        ({"tools": [TIME], "tool_choice": {"type": "function", "function": {"name": "unknown"}}}, "'unknown'"),
        ({"tools": [TIME], "tool_choice": "sometimes"}, "tool_choice"),
        ({"tools": [TIME], "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}, "allowed_tools"),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools.0.type"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools.0.function.name"),
        ({"tools": [WEATHER], "tool_choice": "required", "response_format": {"type": "json_object"}}, "one form"),
        ({"functions": [{"name": "f"}]}, "send tools"),
        ({"function_call": "auto"}, "send tools"),
    ],
)
def test_tools_that_cannot_be_honoured_are_refused(demo: GatewayProcess, fields: dict[str, Any], words: str) -> None:
    answer = demo.client.post("/v1/chat/completions", json={"messages": ASKED, **fields})
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["error"]["message"]
