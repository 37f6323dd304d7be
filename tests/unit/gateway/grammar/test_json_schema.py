"""JSON schemas: what the grammar allows parses and validates, as an independent validator sees it."""

import datetime
import enum
import json
import random
import uuid
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from llm_gateway.grammar.ebnf import Rules, choice
from llm_gateway.grammar.errors import GrammarError
from llm_gateway.grammar.json_schema import add_schema, json_object_grammar, json_schema_grammar
from tests.support.grammar_sampler import Grammar

VOCABULARY_TOKENS = 151_936


def grammar_of(schema: dict[str, Any]) -> str:
    return json_schema_grammar(schema, vocabulary_tokens=VOCABULARY_TOKENS)


def samples(grammar: str, number: int = 30) -> list[str]:
    read = Grammar(grammar)
    return [read.sample(random.Random(seed)) for seed in range(number)]


def values(schema: dict[str, Any], number: int = 30) -> list[Any]:
    """Draw answers, and see to it that they are JSON without anything around it, and valid."""
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    found = []
    for text in samples(grammar_of(schema), number):
        assert text == text.strip()
        found.append(json.loads(text))
        validator.validate(found[-1])
    return found


def accepted(schema: dict[str, Any], number: int = 60) -> set[str]:
    return {json.dumps(value) for value in values(schema, number)}


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Address(BaseModel):
    street: str = Field(min_length=1, max_length=30)
    postcode: Annotated[str, Field(pattern=r"^\d{5}$")]
    kind: Literal["home", "work"] = "home"


class Tree(BaseModel):
    name: str
    children: list["Tree"] = []
    parent: "Tree | None" = None


class Person(BaseModel):
    """A person, with everything that pydantic writes."""

    name: str = Field(description="Given and family name", examples=["Ada Lovelace"])
    age: Annotated[int, Field(ge=0, le=130)]
    weight: Annotated[float, Field(gt=0, lt=500)] | None = None
    born: datetime.date
    seen: datetime.datetime | None = None
    colour: Colour = Colour.RED
    address: Address
    others: list[Address] = Field(default=[], max_length=3)
    scores: dict[str, int] = {}
    id: uuid.UUID
    tree: Tree
    pair: tuple[int, str]
    anything: Any = None
    either: Address | Tree | int


def test_a_pydantic_model_reads_every_answer_that_its_schema_allows() -> None:
    for text in samples(grammar_of(Person.model_json_schema()), 100):
        Person.model_validate_json(text)
    values(Person.model_json_schema(), 100)


def test_an_object_without_a_schema_is_any_object() -> None:
    found = [json.loads(text) for text in samples(json_object_grammar(), 300)]
    assert all(isinstance(value, dict) for value in found)
    kinds = {type(inner) for value in found for inner in value.values()}
    assert kinds == {dict, list, str, int, float, bool, type(None)}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"enum": ["a", 1, None, 1.5, {"b": [True]}]}, {'"a"', "1", "null", "1.5", '{"b": [true]}'}),
        ({"const": 'q"\\\né'}, {json.dumps('q"\\\né')}),
        ({"type": "string", "enum": ["a", 1, None]}, {'"a"'}),
        ({"type": ["boolean", "null"]}, {"true", "false", "null"}),
        ({"anyOf": [{"const": 1}, {"const": 2}], "type": "integer"}, {"1", "2"}),
        ({"oneOf": [{"const": "x"}, {"type": "null"}]}, {'"x"', "null"}),
        ({"allOf": [{"enum": [1, 2, 3]}, {"enum": [2, 3, 4]}, {"const": 3}]}, {"3"}),
        ({"enum": [True, 1], "allOf": [{"enum": [1]}]}, {"1"}),
        ({"type": "integer", "minimum": 3, "exclusiveMaximum": 5.5, "multipleOf": 1}, {"3", "4", "5"}),
        ({"allOf": [{"type": "number", "minimum": 1}, {"type": "integer", "maximum": 2}]}, {"1", "2"}),
        ({"properties": {}, "type": "object"}, {"{}"}),
        ({"type": "object", "additionalProperties": False}, {"{}"}),
        ({"type": "object", "maxProperties": 0}, {"{}"}),
        ({"type": "array", "maxItems": 0}, {"[]"}),
        ({"type": "array", "items": False}, {"[]"}),
        ({"type": "array", "items": {"const": 0}, "minItems": 1, "maxItems": 3}, {"[0]", "[0, 0]", "[0, 0, 0]"}),
        ({"prefixItems": [{"const": 0}, {"const": 1}]}, {"[]", "[0]", "[0, 1]"}),
        ({"prefixItems": [{"const": 0}, {"const": 1}], "minItems": 1}, {"[0]", "[0, 1]"}),
        ({"prefixItems": [{"const": 0}], "items": {"const": 2}, "minItems": 2, "maxItems": 3}, {"[0, 2]", "[0, 2, 2]"}),
        ({"prefixItems": [{"const": 0}], "items": {"const": 2}, "maxItems": 2}, {"[]", "[0]", "[0, 2]"}),
        ({"type": "string", "pattern": "^a?$"}, {'"a"', '""'}),
        (
            {"type": "string", "pattern": "^[ab]{2}$", "minLength": 1, "maxLength": 2},
            {f'"{t}"' for t in ["aa", "ab", "ba", "bb"]},
        ),
    ],
)
def test_a_small_schema_allows_just_its_values(schema: dict[str, Any], expected: set[str]) -> None:
    assert accepted(schema, 150) == expected


def test_optional_properties_come_in_any_choice_and_required_ones_always() -> None:
    one = {"const": 1}
    for required in ([], ["a"], ["b"], ["c"], ["a", "c"]):
        schema = {"properties": {"a": one, "b": one, "c": one}, "required": required}
        expected = {
            json.dumps(dict.fromkeys(names, 1))
            for names in ("", "a", "b", "c", "ab", "ac", "bc", "abc")
            if set(required) <= set(names)
        }
        assert accepted(schema, 200) == expected
    assert accepted({"properties": {"a": one, "b": one}, "minProperties": 1}, 100) == {
        '{"a": 1}', '{"b": 1}', '{"a": 1, "b": 1}'
    }  # fmt: skip


def test_the_size_of_an_object_grows_as_its_properties_do() -> None:
    def size(number: int) -> int:
        return len(grammar_of({"properties": {f"p{index:03}": {"type": "string"} for index in range(number)}}))

    assert size(200) - size(100) < 1.1 * (size(100) - 0)


def test_other_properties_are_never_named_as_one_that_is_listed() -> None:
    schema = {
        "properties": {"a": {"const": 1}, "ab": {"const": 1}, "b": False, 'q"': {"const": 1}},
        "additionalProperties": {"const": "other"},
        "required": ["a"],
    }
    found = values(schema, 200)
    assert any(len(value) > 3 for value in found)
    grammar = grammar_of({**schema, "additionalProperties": {"type": "string"}})
    for text in samples(grammar, 200):
        pairs = json.loads(text, object_pairs_hook=list)
        assert all(isinstance(value, int) == (name in ("a", "ab", 'q"')) for name, value in pairs)


def test_a_map_keeps_its_most_entries() -> None:
    found = values(
        {"type": "object", "additionalProperties": {"const": 1}, "maxProperties": 2, "minProperties": 1}, 100
    )
    assert {len(value) for value in found} == {1, 2}


def test_a_required_property_that_is_not_listed_is_there_all_the_same() -> None:
    assert all("b" in value for value in values({"properties": {"a": True}, "required": ["b"]}))


def test_all_of_merges_objects_as_each_part_means_it() -> None:
    closed = {"properties": {"a": {"type": "integer"}}, "additionalProperties": {"type": "integer"}}
    schema = {"allOf": [closed, {"properties": {"a": {"maximum": 9}, "b": {"minimum": 5}}, "required": ["b"]}]}
    assert all(value["b"] >= 5 for value in values(schema, 60))
    with pytest.raises(GrammarError, match="'b'"):
        grammar_of({"allOf": [{**closed, "additionalProperties": False}, {"required": ["b"]}]})


def test_choices_beside_other_keywords_are_multiplied_out() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"const": 1}, "b": {"const": 2}},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
        "oneOf": [{"properties": {"c": {"const": 3}}, "required": ["c"]}],
    }
    assert accepted(schema, 100) == {'{"a": 1, "c": 3}', '{"b": 2, "c": 3}', '{"a": 1, "b": 2, "c": 3}'}


def test_references_reach_every_place_of_the_schema_and_itself() -> None:
    schema = {
        "$defs": {"a/b": {"type": "integer"}, "list": {"type": "array", "items": {"$ref": "#"}}},
        "properties": {"x": {"$ref": "#/$defs/a~1b", "description": "a number"}, "y": {"$ref": "#/$defs/list"}},
        "definitions": {"z": {"const": 1}},
        "required": ["y"],
        "anyOf": [{"properties": {"z": {"$ref": "#/definitions/z", "type": "integer"}}}],
    }
    values(schema, 60)


def test_a_union_that_refers_to_itself_is_still_a_union() -> None:
    schema = {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"const": 1}]}}}
    assert set(samples(grammar_of(schema))) == {"1"}


def test_nullable_means_what_open_api_means() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer", "nullable": True}}, "required": ["a"]}
    found = [json.loads(text)["a"] for text in samples(grammar_of(schema))]
    assert {type(value) for value in found} == {int, type(None)}


@pytest.mark.parametrize(
    "name", ["date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"]
)
def test_a_format_has_only_valid_values(name: str) -> None:
    readers = {"date": datetime.date.fromisoformat, "time": datetime.time.fromisoformat, "uuid": uuid.UUID}
    readers["date-time"] = datetime.datetime.fromisoformat
    for value in values({"type": "string", "format": name}, 300):
        readers.get(name, str)(value)


def test_the_last_day_of_february_is_right_in_every_year() -> None:
    leaps = {value[:4] for value in values({"type": "string", "format": "date"}, 3000) if value[5:] == "02-29"}
    assert leaps


def test_strings_have_as_many_characters_as_asked_for_and_no_half_surrogates() -> None:
    for value in values({"type": "string", "minLength": 2, "maxLength": 4}, 300):
        value.encode()
        assert 2 <= len(value) <= 4


def test_several_schemas_live_in_one_grammar() -> None:
    rules = Rules()
    first = {"$ref": "#/$defs/x", "$defs": {"x": {"const": 1}}}
    second = {"$ref": "#/$defs/x", "$defs": {"x": {"const": 2}}}
    assert set(samples(rules.build(choice([add_schema(rules, first), add_schema(rules, second)])))) == {"1", "2"}


def _nested(depth: int) -> dict[str, Any]:
    return {"items": _nested(depth - 1)} if depth else {}


def _chained(length: int) -> dict[str, Any]:
    links = {f"d{index}": {"items": {"$ref": f"#/$defs/d{index + 1}"}} for index in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**links, f"d{length}": {"const": 1}}}


def _doubled(length: int, keyword: str) -> dict[str, Any]:
    links = {f"d{n}": {keyword: [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]} for n in range(length)}
    return {"allOf": [{"$ref": "#/$defs/d0"}, {}], "$defs": {**links, f"d{length}": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        *(({"properties": {"a": {keyword: value}}}, f"#/properties/a has the keyword {keyword}") for keyword, value in {
            "not": {}, "if": {}, "dependentSchemas": {}, "contains": {}, "uniqueItems": True, "propertyNames": {},
            "unevaluatedProperties": False, "patternProperties": {"^a": {}}, "dependentRequired": {},
        }.items()),
        ({"type": "integer", "multipleOf": 5}, "multipleOf 5"),
        ({"type": "text"}, "type = 'text'"),
        ({"minLength": "3"}, "minLength"),
        ({"exclusiveMinimum": True}, "exclusiveMinimum"),
        ({"items": [{}]}, "items"),
        ({"required": "a"}, "required"),
        ({"enum": []}, "enum"),
        ({"enum": ["\ud800"]}, "U\\+D800"),
        ({"enum": [float("nan")]}, "fixed value"),
        ({"type": "string", "enum": [1]}, "none is of its type"),
        ({"enum": ["a"], "minLength": 3}, "minLength beside fixed"),
        ({"anyOf": []}, "anyOf"),
        ({"properties": {"a": 1}}, "properties"),
        ({"properties": {"a": False}, "required": ["a"]}, "'a'"),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "string and for integer"),
        ({"allOf": [{"enum": [1]}, {"enum": [2]}]}, "none in common"),
        ({"allOf": [{"pattern": "a"}, {"pattern": "b"}]}, "pattern"),
        ({"allOf": [{"prefixItems": [{}]}, {"items": {}}]}, "prefixItems"),
        ({"allOf": [False]}, "false"),
        ({"$ref": "#/$defs/gone"}, "not there"),
        ({"$ref": "http://elsewhere/schema"}, "not within"),
        ({"$ref": "#"}, "contains itself"),
        ({"$ref": "#", "type": "object"}, "made of itself"),
        ({"properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "contains itself"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "no number"),
        ({"minLength": 5, "maxLength": 4}, "minLength 5"),
        ({"maxLength": 100_000}, "10000"),
        ({"minItems": 5, "maxItems": 4}, "minItems 5"),
        ({"minItems": 2000, "items": {}}, "1000"),
        ({"prefixItems": [{}], "items": False, "minItems": 2}, "allows only 1"),
        ({"properties": {"a": {}, "b": {}}, "minProperties": 2}, "minProperties"),
        ({"properties": {"a": {}, "b": {}}, "maxProperties": 1}, "maxProperties"),
        ({"properties": {}, "minProperties": 1}, "allows no property"),
        ({"pattern": "a+", "maxLength": 3}, "any number of"),
        ({"pattern": "a", "format": "date"}, "only one"),
        ({"pattern": "(?=a)"}, "at #.*lookahead"),
        (_nested(70), "deep"),
        (_chained(70), "deep"),
        (_doubled(40, "allOf"), "apply|deep"),
        (_doubled(40, "anyOf"), "multiplied|deep|larger|longer"),
        ({"properties": {f"p{index}": {"const": index} for index in range(1200)}}, "smaller"),
        ({"enum": list(range(60_000))}, "50000"),
    ],
)  # fmt: skip
def test_what_cannot_be_enforced_is_refused_in_one_sentence_that_names_it(schema: dict[str, Any], named: str) -> None:
    with pytest.raises(GrammarError, match=named) as refused:
        grammar_of(schema)
    assert "\n" not in str(refused.value)


def test_a_length_costs_about_the_same_however_large_it_is() -> None:
    lengths = [
        len(grammar_of({"type": "string", "minLength": number, "maxLength": 2 * number})) for number in (50, 5000)
    ]
    assert lengths[1] < 1.5 * lengths[0]


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"type": "string", "maxLength": 200}, "maxLength 200 of the schema at #/properties/name "),
        ({"type": "string", "minLength": 5}, "minLength 5 of the schema at #/properties/name "),
        ({"type": "string", "pattern": "^.{1,99}$"}, "in the schema at #/properties/name, "),
    ],
)
def test_lengths_that_would_stall_the_engine_are_refused_with_place_and_vocabulary(
    schema: dict[str, Any], named: str
) -> None:
    whole = {"properties": {"name": schema}}
    grammar_of(whole)
    with pytest.raises(GrammarError) as refused:
        json_schema_grammar(whole, vocabulary_tokens=5_000_000)
    assert named in str(refused.value)
    assert "vocabulary of 5,000,000 tokens" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_small_vocabulary_lets_more_be_counted() -> None:
    patterns = {f"p{number}": {"pattern": f"^[^{chr(97 + number)}]{{1,200}}$"} for number in range(10)}
    with pytest.raises(GrammarError, match="more than the 39 places"):
        grammar_of({"properties": patterns})
    json_schema_grammar({"properties": patterns}, vocabulary_tokens=2048)


def test_the_same_kind_of_string_is_paid_for_once() -> None:
    values({"properties": {f"p{number}": {"type": "string", "maxLength": 20 + number} for number in range(50)}}, 5)


scalars = st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=4)
bounds = st.integers(-50, 50)
small = st.integers(0, 3)
leaves = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"enum": st.lists(scalars, min_size=1, max_size=3)}),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={
            "minimum": bounds,
            "exclusiveMaximum": bounds,
            "exclusiveMinimum": st.floats(-9, 9),
            "maximum": bounds,
        },
    ),
    st.fixed_dictionaries(
        {"type": st.just("string")}, optional={"minLength": small, "maxLength": small, "pattern": st.just("^[a-c]+$")}
    ),
    st.fixed_dictionaries({"type": st.sampled_from(["boolean", "null", ["string", "null"]])}),
    st.just({"$ref": "#/$defs/shared"}),
)


def _bigger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=3)
    names = st.sampled_from(["a", "b", "ab", "c d", 'e"'])
    return st.one_of(
        st.fixed_dictionaries({}, optional={"items": inner, "prefixItems": some, "minItems": small, "maxItems": small}),
        st.fixed_dictionaries(
            {"type": st.just("object")},
            optional={
                "properties": st.dictionaries(names, inner, max_size=3),
                "required": st.lists(names, max_size=2),
                "additionalProperties": st.booleans() | inner,
                "minProperties": small,
                "maxProperties": small,
            },
        ),
        st.fixed_dictionaries({"anyOf": some}),
        st.fixed_dictionaries({"allOf": some}),
        st.fixed_dictionaries({"allOf": some, "anyOf": some}, optional={"properties": st.dictionaries(names, inner)}),
    )


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150)
@given(schema=st.recursive(leaves, _bigger, max_leaves=8), shared=leaves.filter(lambda schema: "$ref" not in schema))
def test_any_schema_is_refused_or_every_answer_is_valid(schema: dict[str, Any], shared: dict[str, Any]) -> None:
    whole = {**schema, "$defs": {"shared": shared}}
    try:
        grammar_of(whole)
    except GrammarError:
        return
    values(whole, 8)
