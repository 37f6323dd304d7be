"""Hermes and Qwen: calls between tags, with text around them, and what models get wrong about it."""

import json

import pytest

from llm_gateway.generation import ToolCall
from llm_gateway.tool_calls.base import Parsed
from llm_gateway.tool_calls.hermes import Hermes
from tests.unit.gateway.tool_calls.parsing import TOOLS, parse

CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
PARIS = ToolCall("get_weather", '{"city": "Paris"}')


def parsed(*pieces: str) -> tuple[str, list[ToolCall]]:
    return parse(Hermes().parser(TOOLS, forced=False), pieces)


def test_text_before_a_call_is_the_content_without_the_blanks_between() -> None:
    assert parsed(f"Let me look.\n\n{CALL}") == ("Let me look.", [PARIS])


def test_several_calls_leave_no_blanks_behind() -> None:
    assert parsed(f"\n\n{CALL}\n{CALL}\n") == ("", [PARIS, PARIS])


def test_text_between_and_after_calls_is_kept() -> None:
    assert parsed(f"{CALL} and {CALL} done.") == ("anddone.", [PARIS, PARIS])


def test_a_call_is_given_out_with_its_last_brace_and_text_as_soon_as_it_is_none() -> None:
    parser = Hermes().parser(TOOLS, forced=False)
    pieces = ["Well <", "b> <tool_", 'call>{"name": "clock", "arguments": {', "}", "}", "</tool_", "call>"]
    assert [parser.push(piece) for piece in pieces] == [
        Parsed("Well"),
        Parsed(" <b>"),
        Parsed(),
        Parsed(),
        Parsed(calls=(ToolCall("clock", "{}"),)),
        Parsed(),
        Parsed(),
    ]
    assert parser.flush() == Parsed()


def test_the_closing_tag_inside_an_argument_does_not_end_the_call() -> None:
    arguments = {"city": 'a</tool_call>"}}{'}
    answer = f"<tool_call>{json.dumps({'name': 'get_weather', 'arguments': arguments})}</tool_call>"
    assert parsed(answer) == ("", [ToolCall("get_weather", json.dumps(arguments))])


def test_a_call_of_an_unknown_function_is_for_the_client_to_judge() -> None:
    assert parsed('<tool_call>{"name": "x", "arguments": {}}</tool_call>') == ("", [ToolCall("x", "{}")])


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ('{"name": "clock"}', "{}"),
        ('{"name": "clock", "arguments": null}', "{}"),
        ('{"name": "clock", "arguments": ""}', "{}"),
        ('{"name": "clock", "parameters": {"a": 1}}', '{"a": 1}'),
        ('{"arguments": {"a": 1}, "name": "clock"}', '{"a": 1}'),
        ('{"name": "clock", "arguments": "{\\"a\\": [1.0]}"}', '{"a": [1.0]}'),
        ('{"name": "clock", "arguments": {"a": "two\nlines"}}', '{"a": "two\\nlines"}'),
        ('{"name": "clock", "arguments": {"a": "\\ud83d\\ude00"}}', '{"a": "😀"}'),
        ('{"name": "clock", "arguments": {"a": "\\ud800"}}', '{"a": "\\ud800"}'),
    ],
)
def test_the_ways_in_which_models_write_arguments_are_understood(call: str, arguments: str) -> None:
    assert parsed(f"<tool_call>\n{call}\n</tool_call>") == ("", [ToolCall("clock", arguments)])


@pytest.mark.parametrize(
    "inside",
    [
        "clock()",
        '{"name": "clock", "arguments": {}',
        '{"name": "clock", "arguments": [1]}',
        '{"name": "clock", "arguments": "soon"}',
        '{"name": "clock", "arguments": {"a": NaN}}',
        '{"name": "clock", "arguments": {"a": 1e999}}',
        '{"name": "clock", "arguments": {"a": ' + "1" * 5000 + "}}",
        '{"name": "clock", "arguments": ' + '{"a":' * 20_000 + "1" + "}" * 20_001,
        '{"name": "", "arguments": {}}',
        '{"name": "\\ud800", "arguments": {}}',
        "{'name': 'clock'}",
        "[]",
        "",
    ],
)
def test_what_is_no_call_stays_the_text_that_it_is(inside: str) -> None:
    answer = f"So:\n<tool_call>\n{inside}\n</tool_call>\n"
    assert parsed(answer) == (answer, [])


def test_a_good_call_after_a_bad_one_is_found() -> None:
    assert parsed(f"<tool_call>now</tool_call>{CALL}") == ("<tool_call>now</tool_call>", [PARIS])


def test_two_objects_between_one_pair_of_tags_are_two_calls() -> None:
    clock = '{"name": "clock", "arguments": {}}'
    for inside in (f"{clock}\n{clock}", f"[{clock}, {clock}]"):
        assert parsed(f"<tool_call>{inside}</tool_call>") == ("", [ToolCall("clock", "{}")] * 2)


def test_an_answer_that_ends_within_a_call_is_text_and_one_that_ends_within_its_closing_tag_is_a_call() -> None:
    assert parsed(CALL[:-20]) == (CALL[:-20], [])
    assert parsed(CALL[:-5]) == ("", [PARIS])
