"""Schemas and patterns that are made to explode: each ends with a grammar of bounded size, or with one sentence.

Nothing here looks at a clock: what is not bounded would take hours, or all of the memory.
"""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_gateway.grammar.ebnf import MAX_GRAMMAR_CHARACTERS, MAX_RULES
from llm_gateway.grammar.errors import GrammarError
from llm_gateway.grammar.json_schema import json_schema_grammar
from llm_gateway.grammar.regex import regex_grammar

VOCABULARY_TOKENS = 151_936
HUGE = 10**400


def assert_bounded(make: Callable[[], str]) -> str | None:
    """Return the grammar, or None where it was refused."""
    grammar, sentence = None, ""
    try:
        grammar = make()
    except GrammarError as refused:
        sentence = str(refused)
    assert "\n" not in sentence
    assert len(sentence) < 2000
    if grammar is None:
        return None
    assert len(grammar) <= MAX_GRAMMAR_CHARACTERS
    assert grammar.count(" ::= ") <= MAX_RULES + 1
    return grammar


def of_pattern(pattern: str) -> str | None:
    return assert_bounded(lambda: regex_grammar(pattern, vocabulary_tokens=VOCABULARY_TOKENS))


def of_schema(schema: dict[str, Any]) -> str | None:
    return assert_bounded(lambda: json_schema_grammar(schema, vocabulary_tokens=VOCABULARY_TOKENS))


def nested_repetitions(depth: int) -> str:
    """Each level is written in two ways: with the optional part, and without."""
    pattern = "a"
    for _ in range(depth):
        pattern = f"(?:{pattern}+b?)"
    return f"{pattern}+"


@pytest.mark.parametrize(
    "pattern",
    [
        "(a{1000}){1000}",
        "((a{100}){100}){100}",
        "(a|a){1000}" * 300,
        "(?:" + "a?" * 400 + "b)+",
        "(?:" + "(?:a|b)" * 400 + "c)*",
        "(?:" + "|".join("ab?" * 3 for _ in range(300)) + ")+",
        nested_repetitions(40),
        nested_repetitions(49),
        "(" * 2000 + "a" + ")" * 2000,
        "[" + "".join(chr(0x4E00 + 2 * index) for index in range(2000)) + "]{1,1000}",
        "|".join(f"word{index}" for index in range(400)),
        "(.*.*.*.*.*a)*" * 40,
        r"\w{1000}" * 400,
        "a" * 100_000,
        "(a*)*" * 800,
    ],
    ids=range(15),
)
def test_a_pattern_that_explodes_ends_in_a_bounded_grammar_or_a_sentence(pattern: str) -> None:
    of_pattern(pattern)
    of_schema({"type": "string", "pattern": pattern})


def nested(depth: int, wrap: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "null"}
    for _ in range(depth):
        schema = wrap(schema)
    return schema


def doubling(keyword: str, depth: int) -> dict[str, Any]:
    """Each definition names the next one twice: 2**depth ways through it."""
    steps = {
        f"d{level}": {keyword: [{"$ref": f"#/$defs/d{level + 1}", "title": side} for side in "lr"], "nullable": True}
        for level in range(depth)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**steps, f"d{depth}": {"type": "integer"}}}


MANY_NAMES = {f"name{index}": {"type": "integer", "title": str(index)} for index in range(10_000)}
FIRST_NAMES = dict(list(MANY_NAMES.items())[:8000])
SCHEMAS: dict[str, dict[str, Any]] = {
    "ten_thousand_properties": {"type": "object", "properties": MANY_NAMES},
    "ten_thousand_required": {"type": "object", "required": list(MANY_NAMES), "additionalProperties": {}},
    "names_that_others_must_not_have": {
        "properties": {"".join(chr(97 + (index >> bit & 1)) for bit in range(13)): {} for index in range(5000)},
        "additionalProperties": True,
    },
    "one_very_long_name": {"properties": {"x" * 500_000: {}}, "additionalProperties": True},
    "fifty_thousand_values": {"enum": list(range(49_000))},
    "one_very_long_value": {"const": "x" * 900_000},
    "lists_of_values_that_all_apply": {
        "allOf": [{"enum": list(range(24_000))}, {"enum": list(range(23_999, -1, -1))}],
    },
    "values_beside_choices": {"enum": list(range(24_000)), "anyOf": [{"enum": [index]} for index in range(4900)]},
    "properties_that_all_apply": {
        "allOf": [{"$ref": f"#/$defs/{'ab'[index % 2]}"} for index in range(100)],
        "$defs": {"a": {"properties": FIRST_NAMES}, "b": {"properties": {name: {} for name in FIRST_NAMES}}},
    },
    "true_beside_choices": {"allOf": [True] * 20_000, "anyOf": [{"const": index} for index in range(4000)]},
    "types_without_end": {"type": ["string"] * 40_000, "pattern": "(ab|cd){3}"},
    "types_that_all_apply": {"allOf": [{"type": ["string"] * 20_000}, {"type": ["null", "string"] * 10_000}]},
    "choices_of_choices": nested(12, lambda inner: {"anyOf": [inner, {"const": 1}], "oneOf": [inner, {"const": 2}]}),
    "deep_lists": nested(5000, lambda inner: {"type": "array", "items": inner}),
    "deep_objects": nested(59, lambda inner: {"properties": {"a": inner, "b": inner}, "required": ["a"]}),
    "counted_lists_of_counted_lists": nested(50, lambda inner: {"items": inner, "minItems": 1000, "maxItems": 1000}),
    "a_long_tuple": {"prefixItems": [{"const": index} for index in range(4000)]},
    "doubling_any": doubling("anyOf", 55),
    "doubling_all": doubling("allOf", 55),
    "a_reference_to_itself": {"$ref": "#"},
    "references_in_a_ring": {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}},
    },
    "a_list_that_must_contain_itself": {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
    "a_very_long_reference": {
        "anyOf": [{"$ref": "#/$defs/" + "x" * 400_000, "minLength": 1}],
        "$defs": {"x" * 400_000: {"type": "string"}},
    },
    "members_without_end": {"additionalProperties": {"type": "integer"}, "maxProperties": 10**9},
    "patterns_for_names": {"patternProperties": {"(a{1000}){1000}": {}}},
    "numbers_beyond_every_double": {"type": "number", "minimum": HUGE, "maximum": HUGE},
    "values_beyond_every_double": {"type": "integer", "enum": [HUGE, -HUGE]},
    "counts_beyond_every_double": {"type": "string", "minLength": HUGE},
    "items_beyond_every_double": {"type": "array", "maxItems": HUGE},
    "members_beyond_every_double": {"type": "object", "maxProperties": HUGE, "minProperties": HUGE},
    "steps_beyond_every_double": {"type": "number", "multipleOf": HUGE},
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_that_explodes_ends_in_a_bounded_grammar_or_a_sentence(name: str) -> None:
    of_schema(SCHEMAS[name])


def test_what_is_bounded_still_takes_what_people_write() -> None:
    assert of_pattern(r"(?:\w+ ?)+") is not None
    assert of_pattern(nested_repetitions(4)) is not None
    assert of_schema({"properties": {f"name{index}": {"type": "integer"} for index in range(100)}}) is not None
    assert of_schema({"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 1000}) is not None
    assert of_schema({"enum": [f"country {index}" for index in range(250)]}) is not None
    assert of_schema({"allOf": [{"enum": [1, 2, 3]}, {"enum": [3, 2]}], "type": "integer"}) is not None


bits = st.sampled_from(["a", "[a-c]", ".", r"\d", "(?:", ")", "|", "?", "+", "*", "{1000}", "{0,999}", "{5,}", "b?"])


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(parts=st.lists(bits, max_size=60), times=st.integers(1, 20))
def test_any_pattern_of_nested_repetitions_is_bounded(parts: list[str], times: int) -> None:
    of_pattern("".join(parts) * times)


names = st.sampled_from(["a", "b", "c"])
references = names.map(lambda name: {"$ref": f"#/$defs/{name}"})
counts = st.integers(0, 3) | st.sampled_from([1000, 10**6, HUGE])
bounds = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.just(HUGE)
leaves = st.one_of(
    references,
    st.booleans(),
    st.fixed_dictionaries({"type": st.sampled_from(["string", "integer", "number", "array", "object"])}),
    st.fixed_dictionaries({"enum": st.lists(bounds, min_size=1, max_size=50)}),
    st.fixed_dictionaries({"minimum": bounds}, optional={"maximum": bounds, "exclusiveMaximum": bounds}),
    st.fixed_dictionaries({"minLength": counts}, optional={"maxLength": counts, "pattern": st.just("(a?b?c?){9}")}),
)


def _bigger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=8)
    combined = {"anyOf": some, "oneOf": some, "allOf": some, "$ref": names.map(lambda name: f"#/$defs/{name}")}
    listed = {"items": inner, "prefixItems": some, "minItems": counts, "maxItems": counts}
    named = {
        "properties": st.dictionaries(st.text(max_size=3), inner, max_size=8),
        "required": st.lists(names, max_size=3),
        "additionalProperties": inner,
        "minProperties": counts,
        "maxProperties": counts,
    }
    return st.fixed_dictionaries({}, optional={**combined, **listed, **named})


schemas = st.recursive(leaves, _bigger, max_leaves=20)


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(
    schema=schemas.filter(lambda schema: isinstance(schema, dict)),
    shared=st.fixed_dictionaries({"a": schemas, "b": schemas, "c": schemas}),
)
def test_any_schema_that_refers_to_itself_in_any_way_is_bounded(schema: dict[str, Any], shared: dict[str, Any]) -> None:
    of_schema({**schema, "$defs": shared})


def test_a_long_text_of_noise_is_no_pattern_that_hangs() -> None:
    noise = random.Random(6)
    for _ in range(200):
        of_pattern("".join(noise.choice("ab()[]{}|?*+.,0129\\^$-") for _ in range(noise.randrange(400))))
