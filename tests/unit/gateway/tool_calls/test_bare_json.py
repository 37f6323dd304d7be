"""Calls from models without a format: plain JSON under a grammar, and the functions shown in the prompt."""

import json

from llm_gateway.generation import PromptSource, ToolCall
from llm_gateway.tool_calls.bare_json import BareJson
from tests.unit.gateway.tool_calls.parsing import CLOCK, TOOLS, WEATHER, parse


def parsed(*pieces: str) -> tuple[str, list[ToolCall]]:
    return parse(BareJson().parser(TOOLS, forced=True), pieces)


def test_one_object_is_one_call_and_an_array_is_several() -> None:
    call = '{"name": "clock", "arguments": {}}'
    assert parsed(call) == ("", [ToolCall("clock", "{}")])
    assert parsed(f"[{call}, {call}]") == ("", [ToolCall("clock", "{}")] * 2)


def test_an_answer_that_was_cut_short_has_its_whole_calls_and_the_rest_as_text() -> None:
    answer = '[{"name": "clock", "arguments": {}}, {"name": "cl'
    assert parsed(answer) == (', {"name": "cl', [ToolCall("clock", "{}")])
    assert parsed(answer[:20]) == (answer[:20], [])
    assert parsed(answer[:36]) == ("", [ToolCall("clock", "{}")])


def test_the_functions_are_shown_before_what_the_user_says_last() -> None:
    turns = (
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Time?"},
    )
    shown = BareJson().shown_in(PromptSource(messages=turns), TOOLS).messages
    assert shown is not None
    assert shown[:2] == turns[:2]
    content = shown[2]["content"]
    assert isinstance(content, str)
    assert content.endswith("\n\nTime?")
    for tool in (WEATHER, CLOCK):
        assert json.dumps(tool.definition["function"]) in content


def test_content_of_several_parts_gets_one_more() -> None:
    parts = [{"type": "text", "text": "Time?"}]
    shown = BareJson().shown_in(PromptSource(messages=({"role": "user", "content": parts},)), TOOLS).messages
    assert shown is not None
    content = shown[0]["content"]
    assert isinstance(content, list)
    assert content[1:] == parts


def test_the_functions_are_shown_before_a_text_unless_it_is_to_be_taken_as_it_is() -> None:
    text = BareJson().shown_in(PromptSource(text="Time?"), TOOLS).text
    assert text is not None
    assert text.endswith("\n\nTime?")
    for untouched in (
        PromptSource(text="Time?", raw=True),
        PromptSource(token_ids=(1, 2)),
        PromptSource(messages=({"role": "system", "content": "Be brief."},)),
    ):
        assert BareJson().shown_in(untouched, TOOLS) == untouched
