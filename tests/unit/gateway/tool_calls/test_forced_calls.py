"""Forced calls: whatever a grammar lets a model say is read back as calls that their schemas allow."""

import json
import random

import jsonschema
import pytest

from llm_gateway.generation import Tool
from llm_gateway.grammar.errors import GrammarError
from llm_gateway.tool_calls.bare_json import BareJson
from llm_gateway.tool_calls.base import ToolFormat
from llm_gateway.tool_calls.forced_calls import MAX_PARALLEL_CALLS
from llm_gateway.tool_calls.hermes import Hermes
from llm_gateway.tool_calls.llama3 import Llama3
from llm_gateway.tool_calls.mistral import Mistral
from llm_gateway.tool_calls.qwen_xml import QwenXml
from tests.support.grammar_sampler import Grammar
from tests.unit.gateway.tool_calls.parsing import CLOCK, WEATHER, parse, tool

NESTED = tool(
    'na"me',
    {
        "$defs": {"place": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}},
        "properties": {
            "places": {"type": "array", "items": {"$ref": "#/$defs/place"}, "minItems": 1},
            "unit": {"enum": ["</tool_call>", "[TOOL_CALLS]", ";"]},
        },
        "required": ["places", "unit"],
    },
)
TOOLS = (WEATHER, CLOCK, NESTED)
FORMATS = (Hermes(), Llama3(), Mistral(), BareJson(), QwenXml())


def sample(tool_format: ToolFormat, tools: tuple[Tool, ...], *, parallel: bool, number: int = 60) -> list[str]:
    grammar = Grammar(tool_format.grammar(tools, parallel=parallel, vocabulary_tokens=151_936))
    return [grammar.sample(random.Random(seed)) for seed in range(number)]


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("tool_format", FORMATS, ids=[each.name for each in FORMATS])
def test_every_forced_answer_is_calls_of_the_tools_and_nothing_else(tool_format: ToolFormat, parallel: bool) -> None:
    schemas = {each.name: each.parameters for each in TOOLS}
    counts: set[int] = set()
    names: set[str] = set()
    for answer in sample(tool_format, TOOLS, parallel=parallel):
        text, calls = parse(tool_format.parser(TOOLS, forced=True), list(answer))
        assert text == ""
        for call in calls:
            jsonschema.validate(json.loads(call.arguments), schemas[call.name])
        counts.add(len(calls))
        names.update(call.name for call in calls)
    assert names == set(schemas)
    assert (max(counts) > 1) is parallel
    assert counts <= set(range(1, MAX_PARALLEL_CALLS + 1))


def test_the_one_function_that_is_named_is_the_one_that_is_called() -> None:
    for answer in sample(Hermes(), (WEATHER,), parallel=False):
        assert [call.name for call in parse(Hermes().parser(TOOLS, forced=True), [answer])[1]] == ["get_weather"]


@pytest.mark.parametrize(
    "parameters", [{}, {"type": "object"}, {"type": "object", "properties": {}}, {"additionalProperties": False}]
)
def test_a_function_that_names_no_parameters_gets_an_empty_object(parameters: dict[str, object]) -> None:
    for answer in sample(BareJson(), (tool("clock", parameters),), parallel=False, number=10):
        assert json.loads(answer) == {"name": "clock", "arguments": {}}


def test_other_properties_are_free_where_the_function_says_so() -> None:
    answers = sample(BareJson(), (tool("f", {"additionalProperties": {"type": "boolean"}}),), parallel=False)
    assert any(json.loads(answer)["arguments"] for answer in answers)


@pytest.mark.parametrize(
    "parameters",
    [{"type": "string"}, {"type": "object", "properties": {"a": {"not": {}}}}, {"type": "object", "required": ["a"]}],
)
def test_parameters_without_a_grammar_are_refused_with_the_functions_name(parameters: dict[str, object]) -> None:
    with pytest.raises(GrammarError, match="the function f"):
        BareJson().grammar((tool("f", parameters),), parallel=True, vocabulary_tokens=151_936)
