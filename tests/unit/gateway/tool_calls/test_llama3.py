"""Llama 3: the whole answer is the call, or it is none."""

import pytest

from llm_gateway.generation import ToolCall
from llm_gateway.tool_calls.base import Parsed
from llm_gateway.tool_calls.llama3 import Llama3
from tests.unit.gateway.tool_calls.parsing import TOOLS, parse

CALL = '{"name": "get_weather", "parameters": {"city": "Paris"}}'
CLOCK_CALL = '{"type": "function", "name": "clock", "arguments": {}}'
PARIS = ToolCall("get_weather", '{"city": "Paris"}')
CLOCK = ToolCall("clock", "{}")


def parsed(*pieces: str) -> tuple[str, list[ToolCall]]:
    return parse(Llama3().parser(TOOLS, forced=False), pieces)


@pytest.mark.parametrize(
    "answer", [CALL, f"\n{CALL}\n", f"<|python_tag|>{CALL}", f" <|python_tag|> {CALL}", f"[{CALL}]"]
)
def test_an_answer_that_is_a_call_is_understood(answer: str) -> None:
    assert parsed(answer) == ("", [PARIS])


@pytest.mark.parametrize("between", ["; ", ";", "\n", "", " ;\n "])
def test_several_calls_may_be_divided_as_models_do_it(between: str) -> None:
    assert parsed(f"<|python_tag|>{CALL}{between}{CLOCK_CALL}") == ("", [PARIS, CLOCK])
    assert parsed(f"{CALL}{between}{CLOCK_CALL}{between}") == ("", [PARIS, CLOCK])


@pytest.mark.parametrize(
    "answer",
    [
        '{"name": "Anna", "parameters": {}}',
        '{"name": "clock"}',
        '{"city": "Paris"}',
        f"Call {CALL}",
        "[1, 2]",
        "[]",
        '<|python_tag|>search("Paris")',
        "{x | x > 0} is a set",
        "  ",
    ],
)
def test_an_answer_that_is_no_call_of_one_of_the_tools_is_text(answer: str) -> None:
    assert parsed(answer) == (answer, [])


def test_after_the_tag_any_function_is_a_call() -> None:
    assert parsed('<|python_tag|>{"name": "other", "parameters": {}}') == ("", [ToolCall("other", "{}")])


def test_an_answer_that_cannot_be_a_call_is_held_back_no_longer_than_its_first_key() -> None:
    parser = Llama3().parser(TOOLS, forced=False)
    pieces = ["\n", "{", ' "', "n", "ote", '": 1, ', "{"]
    assert [parser.push(piece).text for piece in pieces] == ["", "", "", "", '\n{ "note', '": 1,', " {"]
    assert parser.flush() == Parsed()


def test_text_after_a_call_is_kept() -> None:
    assert parsed(f"{CALL}; I hope.") == ("; I hope.", [PARIS])
