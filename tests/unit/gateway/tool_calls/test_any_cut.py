"""What all formats promise, whatever the model writes: no cut matters, no text is lost, nothing is raised."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.generation import ToolCall
from llm_gateway.tool_calls.bare_json import BareJson
from llm_gateway.tool_calls.base import ToolFormat
from llm_gateway.tool_calls.hermes import Hermes
from llm_gateway.tool_calls.llama3 import Llama3
from llm_gateway.tool_calls.mistral import Mistral
from llm_gateway.tool_calls.qwen_xml import QwenXml
from tests.unit.gateway.tool_calls.parsing import TOOLS, cut, parse

FORMATS = (Hermes(), Llama3(), Mistral(), BareJson(), QwenXml())
NAMES = [each.name for each in FORMATS]

CALL = '{"name": "get_weather", "arguments": {"city": "a}\\"{<b"}}'
FRAGMENTS = (
    *("<tool_call>", "</tool_call>", "<|python_tag|>", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]x1", "clock"),
    *("<function=clock>", "<parameter=a>", "</parameter>", "</function>", "<parameter=b>\n1\n</parameter>"),
    *(CALL, '{"name": "clock", "parameters": {}}', '{"name": "other", "arguments": "{}"}', '{"city": 1}', "{}", "[]"),
    *('{"name": "clock", "arguments": [1]}', '{"name": 1', '{"a\\', '"', "{", "}", "[", "]", ",", ";", "\\", "<", "</"),
    *(" ", "\n", "\n\n", "word", "<think>", "{'name': 'clock'}", '{"name": "clock", "arguments": {"x": 1e999}}'),
)
answers = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=14).map("".join)


@pytest.mark.parametrize("tool_format", FORMATS, ids=NAMES)
@pytest.mark.parametrize("forced", [False, True])
@given(data=st.data(), answer=answers)
def test_however_an_answer_is_cut_the_same_comes_out(
    tool_format: ToolFormat, forced: bool, data: st.DataObject, answer: str
) -> None:
    whole = parse(tool_format.parser(TOOLS, forced=forced), [answer])
    assert parse(tool_format.parser(TOOLS, forced=forced), data.draw(cut(answer))) == whole
    assert parse(tool_format.parser(TOOLS, forced=forced), list(answer)) == whole


@pytest.mark.parametrize("tool_format", FORMATS, ids=NAMES)
@given(answer=answers)
def test_an_answer_without_calls_comes_out_as_it_is(tool_format: ToolFormat, answer: str) -> None:
    text, calls = parse(tool_format.parser(TOOLS, forced=False), [answer])
    assert calls or text == answer
    assert all(isinstance(json.loads(call.arguments), dict) for call in calls)


def _hermes(calls: list[ToolCall]) -> str:
    return "\n".join(f"<tool_call>\n{_object(call, 'arguments')}\n</tool_call>" for call in calls)


def _llama3(calls: list[ToolCall]) -> str:
    return "; ".join(_object(call, "parameters") for call in calls)


def _mistral_array(calls: list[ToolCall]) -> str:
    return f"[TOOL_CALLS] [{', '.join(_object(call, 'arguments', id='123456789') for call in calls)}]"


def _mistral_names(calls: list[ToolCall]) -> str:
    return "".join(f"[TOOL_CALLS]{call.name}[ARGS]{call.arguments}" for call in calls)


def _bare_json(calls: list[ToolCall]) -> str:
    return f"[{', '.join(_object(call, 'arguments') for call in calls)}]"


def _object(call: ToolCall, key: str, **more: str) -> str:
    return json.dumps({"name": call.name, key: json.loads(call.arguments), **more}, ensure_ascii=False)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
calls_of_tools = st.lists(
    st.builds(
        ToolCall,
        st.sampled_from([tool.name for tool in TOOLS]),
        st.dictionaries(st.text(), json_values, max_size=3).map(lambda value: json.dumps(value, ensure_ascii=False)),
    ),
    min_size=1,
    max_size=3,
)


@pytest.mark.parametrize(
    ("tool_format", "written"),
    [
        (Hermes(), _hermes),
        (Llama3(), _llama3),
        (Mistral(), _mistral_array),
        (Mistral(), _mistral_names),
        (BareJson(), _bare_json),
    ],
)
@given(data=st.data(), calls=calls_of_tools)
def test_calls_as_templates_write_them_come_out_as_they_were(
    tool_format: ToolFormat, written: Callable[[list[ToolCall]], str], data: st.DataObject, calls: list[ToolCall]
) -> None:
    pieces = data.draw(cut(written(calls)))
    assert parse(tool_format.parser(TOOLS, forced=False), pieces) == ("", calls)
