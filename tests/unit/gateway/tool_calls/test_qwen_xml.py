"""Qwen3-Coder: parameters as text between tags, read by the types of the function's schema."""

import json

import pytest

from llm_gateway.generation import ToolCall
from llm_gateway.tool_calls.qwen_xml import QwenXml
from tests.unit.gateway.tool_calls.parsing import TOOLS, parse, tool

SETTINGS: dict[str, object] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "number": {"type": "number"},
        "flag": {"type": "boolean"},
        "items": {"type": "array"},
        "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "note": {"type": ["string", "null"]},
        "anything": {},
    },
}


def call(name: str, **parameters: str) -> str:
    inside = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in parameters.items())
    return f"<tool_call>\n<function={name}>\n{inside}</function>\n</tool_call>"


def parsed(*pieces: str) -> tuple[str, list[ToolCall]]:
    return parse(QwenXml().parser([*TOOLS, tool("set", SETTINGS)], forced=False), pieces)


def test_calls_and_the_text_before_them_are_told_apart() -> None:
    answer = f"I look.\n{call('get_weather', city='Paris', days='3')}\n{call('clock')}"
    assert parsed(answer) == (
        "I look.",
        [ToolCall("get_weather", '{"city": "Paris", "days": 3}'), ToolCall("clock", "{}")],
    )


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("text", "12", "12"),
        ("text", "  two\n\nlines ", "  two\n\nlines "),
        ("text", "", ""),
        ("text", "</function> and </tool_call> and </parameter>.", "</function> and </tool_call> and </parameter>."),
        ("text", "True", "True"),
        ("number", "1.5", 1.5),
        ("number", "many", "many"),
        ("number", "NaN", "NaN"),
        ("flag", "True", True),
        ("flag", "false", False),
        ("items", '[1, "a"]', [1, "a"]),
        ("maybe", "null", None),
        ("maybe", "None", None),
        ("maybe", "7", 7),
        ("note", "null", None),
        ("note", "7", "7"),
        ("anything", "7", "7"),
        ("unknown", "7", "7"),
    ],
)
def test_a_value_is_read_by_the_type_that_the_schema_gives_it(key: str, text: str, value: object) -> None:
    assert parsed(call("set", **{key: text})) == ("", [ToolCall("set", json.dumps({key: value}))])


def test_a_call_is_whole_with_the_end_of_its_function() -> None:
    answer = call("clock")
    assert parsed(answer.removesuffix("</tool_call>")) == ("", [ToolCall("clock", "{}")])
    assert parsed(answer[:-5]) == ("", [ToolCall("clock", "{}")])
    assert parsed(answer[:25]) == (answer[:25], [])


@pytest.mark.parametrize(
    "answer",
    [
        '<tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call>',
        "<tool_call>\n<function=clock>\nnow\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>",
        "<tool_call>\n<function=two words>\n</function>\n</tool_call>",
        "<tool_call>\n<function=clock></tool_call>",
    ],
)
def test_what_is_no_call_stays_the_text_that_it_is(answer: str) -> None:
    assert parsed(answer) == (answer, [])


def test_a_forced_answer_is_plain_json() -> None:
    parser = QwenXml().parser(TOOLS, forced=True)
    assert parse(parser, ['[{"name": "clock", "arguments": {}}]']) == ("", [ToolCall("clock", "{}")])
