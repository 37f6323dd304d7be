"""Mistral: an array of calls after a mark, or a function's name and its arguments."""

import pytest

from llm_gateway.generation import ToolCall
from llm_gateway.tool_calls.base import Parsed
from llm_gateway.tool_calls.mistral import Mistral
from tests.unit.gateway.tool_calls.parsing import TOOLS, parse

OBJECT = '{"name": "get_weather", "arguments": {"city": "Paris"}, "id": "abcdef123"}'
PARIS = ToolCall("get_weather", '{"city": "Paris"}')
CLOCK = ToolCall("clock", "{}")


def parsed(*pieces: str, forced: bool = False) -> tuple[str, list[ToolCall]]:
    return parse(Mistral().parser(TOOLS, forced=forced), pieces)


@pytest.mark.parametrize(
    "answer",
    [
        f"[TOOL_CALLS] [{OBJECT}]",
        f"[TOOL_CALLS][{OBJECT}]",
        f"[TOOL_CALLS]{OBJECT}",
        '[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}',
        '[TOOL_CALLS] get_weather [ARGS] {"city": "Paris"}',
        '[TOOL_CALLS]get_weather{"city": "Paris"}',
        '[TOOL_CALLS]get_weather[CALL_ID]a1B2c3D4e[ARGS]{"city": "Paris"}',
    ],
)
def test_each_version_of_the_format_is_understood(answer: str) -> None:
    assert parsed(answer) == ("", [PARIS])
    assert parsed(f"I look. {answer}") == ("I look.", [PARIS])


def test_several_calls_are_found_in_one_array_and_after_several_marks() -> None:
    assert parsed(f'[TOOL_CALLS][{OBJECT}, {{"name": "clock", "arguments": {{}}}}]') == ("", [PARIS, CLOCK])
    assert parsed('[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}[TOOL_CALLS]clock[ARGS]{}') == ("", [PARIS, CLOCK])


def test_each_call_of_an_array_is_given_out_when_it_is_whole() -> None:
    parser = Mistral().parser(TOOLS, forced=False)
    assert parser.push(f"[TOOL_CALLS][{OBJECT}") == Parsed(calls=(PARIS,))
    assert parser.push(", ") == Parsed()
    assert parser.push('{"name": "clock", "arguments": {}}') == Parsed(calls=(CLOCK,))
    assert parser.push("]") == Parsed()


@pytest.mark.parametrize(
    "answer",
    [
        "[TOOL_CALLS]",
        "[TOOL_CALLS] [1]",
        "[TOOL_CALLS]two words[ARGS]{}",
        "[TOOL_CALLS]clock\n[ARGS]{}",
        "[TOOL_CALLS]clock[ARGS]",
        "[TOOL_CALLS]clock[ARGS]{]}",
        "[TOOL_CALLS]" + "x" * 300 + "{}",
        OBJECT,
    ],
)
def test_what_is_no_call_stays_the_text_that_it_is(answer: str) -> None:
    assert parsed(answer) == (answer, [])


def test_a_forced_answer_is_the_bare_array() -> None:
    assert parsed(f"[{OBJECT}]", forced=True) == ("", [PARIS])
