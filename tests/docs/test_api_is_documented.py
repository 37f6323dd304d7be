"""docs/api.md and its pages say what the code does: every route, field, bound and error is named, and no other."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from fastapi import FastAPI

from llm_gateway import errors
from llm_gateway.access.keys import KeyRing
from llm_gateway.api.dialect import Dialect
from llm_gateway.api.error_bodies import MalformedBodyError, NoSuchRouteError, UnexpectedError
from llm_gateway.api.native.errors import NATIVE
from llm_gateway.api.ollama.errors import OLLAMA
from llm_gateway.api.openai import unsupported
from llm_gateway.api.openai.errors import OPENAI
from llm_gateway.api.openai.response_format import answer_shape
from llm_gateway.api.tgi.errors import TGI
from llm_gateway.app import Gateway
from llm_gateway.grammar.arrays import MAX_COUNTED_ITEMS
from llm_gateway.grammar.formats import FORMATS
from llm_gateway.grammar.json_schema import MAX_DEPTH
from llm_gateway.grammar.json_values import MAX_DIGITS
from llm_gateway.grammar.keywords import REFUSED, RESTRICTING
from llm_gateway.grammar.regex import MAX_STATES
from llm_gateway.grammar.regex_parser import MAX_COUNT, MAX_PATTERN_CHARACTERS
from llm_gateway.grammar.strings import MAX_COUNTED_CHARACTERS
from llm_gateway.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
OVERVIEW = (DOCS / "api.md").read_text(encoding="utf-8")
SECTIONS = {"## " + section.partition("\n")[0]: section for section in OVERVIEW.split("\n## ")[1:]}
PAGES = {
    "native": SECTIONS["## Native"],
    **{name: (DOCS / "api" / f"{name}.md").read_text(encoding="utf-8") for name in ("openai", "tgi", "ollama")},
}
DIALECTS = {"native": NATIVE, "openai": OPENAI, "tgi": TGI, "ollama": OLLAMA}
UNDESCRIBED_ROUTES = {
    *("GET /docs", "GET /openapi.json", "HEAD /api/version", "HEAD /api/tags", "HEAD /api/blobs/{digest}"),
}
"""What answers and is in no description, as HEAD goes with a GET."""
READ_FROM_THE_REST: dict[str, object] = {
    "guided_json": {"type": "object"},
    "guided_regex": "a+",
    "guided_choice": ["yes", "no"],
}
"""Supported fields that OpenAI's schema does not list, with a value."""
NARROWER_THAN_THE_SCHEMA = {("tgi", "top_p"), ("tgi", "typical_p"), ("tgi", "frequency_penalty")}
"""Fields whose bounds are refused in TGI's own sentences, before those of the schema matter."""
LARGEST_BOUND_WORTH_SAYING = 10_000
VALUES = (True, False, 2, "x", ["audio"])
"""One of them asks for something, whatever the field."""

TOO_LONG = errors.PromptTooLongError("it is too long", prompt_tokens=9, max_tokens=None, context_tokens=8)
ERRORS: list[errors.GatewayError] = [
    MalformedBodyError("it is no JSON"),
    errors.InvalidKeyError("it is none"),
    errors.ForeignPageError("it is another site's"),
    errors.WrongHostError("it is somebody else"),
    errors.RequestTimeoutError("it is too slow"),
    errors.RateLimitedError("it is used up", retry_after_s=1),
    errors.InvalidRequestError("it cannot be used"),
    errors.UnsupportedError("it cannot be done"),
    TOO_LONG,
    errors.UnknownModelError("it is another"),
    NoSuchRouteError("it is not there", 404),
    errors.BodyTooLargeError("it is too large"),
    errors.OverloadedError("it is full", retry_after_s=1),
    errors.GenerationFailedError("it failed"),
    UnexpectedError("it is a bug"),
    errors.NotReadyError("it is loading", phase="loading", retry_after_s=1),
    errors.WorkerDiedError("it ended"),
    errors.DeadlinePassedError("it took too long"),
]


class Field(NamedTuple):
    """A field of a body, and what the description says of its value."""

    dialect: str
    name: str
    schema: dict[str, Any]


@cache
def _description() -> dict[str, Any]:
    """Describe the real application, which neither loads a model nor listens before it is run."""
    middleware: Any = Gateway(Settings(), KeyRing({}), stop_server=lambda: None).asgi
    api = middleware._app
    assert isinstance(api, FastAPI)
    return api.openapi()


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in _description()["paths"].items():
        for method, operation in operations.items():
            yield f"{method.upper()} {path}", operation


def _models(schema: object) -> Iterator[str]:
    """Name the models that a schema refers to, as far down as there are any."""
    if isinstance(schema, dict):
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        if name:
            yield name
            yield from _models(_description()["components"]["schemas"][name])
        for value in schema.values():
            yield from _models(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _models(value)


@cache
def _fields() -> tuple[Field, ...]:
    """Every field of every body, nested ones included, with its dialect."""
    found = set()
    for _, operation in _operations():
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        found |= {(_dialect_of(model, operation["tags"]), model) for model in _models(body)}
    schemas = _description()["components"]["schemas"]
    return tuple(
        Field(dialect, name, schema)
        for dialect, model in sorted(found)
        for name, schema in schemas[model].get("properties", {}).items()
    )


def _dialect_of(model: str, tags: list[str]) -> str:
    """Of routes with two dialects, TGI's models are those that its own routes have too."""
    if len(tags) == 1:
        return tags[0]
    own = next(operation for name, operation in _operations() if name == "POST /generate_stream")
    return "tgi" if model in set(_models(own["requestBody"])) else next(tag for tag in tags if tag != "tgi")


def _tables(text: str, header: str) -> Iterator[list[str]]:
    """Yield the rows, as their cells, of the tables whose first column has this header."""
    for table in re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE):
        rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines()]
        if rows[0][0] == header:
            yield from rows[2:]


def _rows(dialect: str) -> dict[str, str]:
    """The documented fields of a dialect, each with all that is said of it."""
    said: dict[str, str] = {}
    for names, *rest in _tables(PAGES[dialect], "field"):
        for name in re.findall(r"`([^`]+)`", names):
            said[name] = f"{said.get(name, '')} {' '.join(rest)}".strip()
    return said


def _documented_routes() -> set[str]:
    text = "\n".join([OVERVIEW, *PAGES.values()])
    return set(re.findall(r"`((?:GET|HEAD|POST|PUT|DELETE) /[^`]*)`", text))


def _numbers(schema: dict[str, Any]) -> set[float]:
    """The bounds and the default of a value, where they are numbers."""
    keys = (
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minItems",
        "maxItems",
        "maxLength",
        "default",
    )
    found = {each.get(key) for each in (schema, *schema.get("anyOf", ())) for key in keys}
    numbers = {value for value in found if isinstance(value, int | float) and not isinstance(value, bool)}
    return {number for number in numbers if number <= LARGEST_BOUND_WORTH_SAYING}


def _refused_by_openai(name: str) -> bool:
    """Whether some value of a field that the schema does not list is refused, in chats or in completions."""
    for chat in (True, False):
        for value in VALUES:
            try:
                unsupported.refuse_unsupported({name: value}, chat=chat)
            except errors.UnsupportedError:
                return True
    return False


def _response(dialect: Dialect, error: errors.GatewayError) -> tuple[int, object]:
    response = dialect.error_response(error)
    return response.status_code, msgspec.json.decode(response.body)


def test_every_route_is_named_where_its_dialect_is_described() -> None:
    for route, operation in _operations():
        pages = [OVERVIEW if tag == "operations" else PAGES[tag] for tag in operation["tags"]]
        assert [page[:20] for page in pages if f"`{route}`" not in page] == [], route


def test_no_route_is_named_that_does_not_exist() -> None:
    assert _documented_routes() - {route for route, _ in _operations()} == UNDESCRIBED_ROUTES


@pytest.mark.parametrize("dialect", PAGES)
def test_every_field_of_every_body_is_named(dialect: str) -> None:
    fields = {field.name for field in _fields() if field.dialect == dialect}
    assert fields
    assert fields - _rows(dialect).keys() == set()


@pytest.mark.parametrize("dialect", PAGES)
def test_every_field_is_supported_ignored_or_refused(dialect: str) -> None:
    unclear = {name for name, said in _rows(dialect).items() if not re.search("supported|ignored|refused", said)}
    assert unclear == set()


@pytest.mark.parametrize("dialect", PAGES)
def test_what_no_schema_knows_is_said_to_be_ignored_or_refused(dialect: str) -> None:
    known = {field.name for field in _fields() if field.dialect == dialect} | READ_FROM_THE_REST.keys()
    claimed = {name for name, said in _rows(dialect).items() if name not in known and said.startswith("supported")}
    assert claimed == set()


@pytest.mark.parametrize("dialect", PAGES)
def test_bounds_and_defaults_are_those_of_the_schema(dialect: str) -> None:
    rows = _rows(dialect)
    for field in _fields():
        if field.dialect == dialect and (dialect, field.name) not in NARROWER_THAN_THE_SCHEMA:
            said = {float(number) for number in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w])", rows[field.name])}
            assert _numbers(field.schema) - said == set(), field


def test_what_openai_s_dialect_is_said_to_refuse_is_refused_and_nothing_else_is() -> None:
    known = {field.name for field in _fields() if field.dialect == "openai"} - {"add_special_tokens"}
    unlisted = {name: said for name, said in _rows("openai").items() if name not in known | READ_FROM_THE_REST.keys()}
    assert unsupported._REFUSED.keys() <= unlisted.keys()
    assert [name for name, said in unlisted.items() if ("refused" in said) != _refused_by_openai(name)] == []


@pytest.mark.parametrize("name", READ_FROM_THE_REST)
def test_a_field_that_the_schema_does_not_list_is_read_all_the_same(name: str) -> None:
    assert name in _rows("openai")
    assert answer_shape(None, None, {name: READ_FROM_THE_REST[name]}) is not None


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("column", range(1, 5))
def test_errors_have_the_status_and_the_word_that_the_table_says(error: errors.GatewayError, column: int) -> None:
    [row] = [row for row in _tables(OVERVIEW, "what went wrong") if f"`{error.kind}`" in row[1]]
    status, _, word = row[column].partition(" ")
    if not status:
        assert isinstance(error, errors.UnknownModelError)
        return
    answered, body = _response(list(DIALECTS.values())[column - 1], error)
    assert str(answered) == status
    if column < len(DIALECTS):
        assert f'"{word.strip("`")}"' in msgspec.json.encode(body).decode()
    else:
        assert not word


@pytest.mark.parametrize("dialect", DIALECTS)
def test_errors_have_the_shape_that_the_table_says(dialect: str) -> None:
    [row] = [row for row in _tables(OVERVIEW, "dialect") if row[0].lower() == dialect]
    _, body = _response(DIALECTS[dialect], errors.UnsupportedError("one sentence"))
    assert isinstance(body, dict)
    inner = body["error"] if isinstance(body["error"], dict) else {}
    assert [key for key in (*body, *inner) if f'"{key}"' not in row[1]] == []
    frames = DIALECTS[dialect].error_frames
    if frames is None:
        assert "closed" in row[2]
    else:
        frame = frames(errors.UnsupportedError("one sentence"))
        assert (b"data:" in frame, b"[DONE]" in frame) == ("`data:`" in row[2], "[DONE]" in row[2])


def test_every_keyword_of_a_json_schema_is_said_to_be_enforced_or_refused() -> None:
    section = SECTIONS["## Formats"]
    enforced = {name for row in _tables(section, "keyword") for name in re.findall(r"`([^`]+)`", row[0])}
    assert enforced == RESTRICTING | {"nullable"}
    [refused] = re.findall(r"^Refused, with the place: (.*?), unless", section, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"`([^`]+)`", refused)) == REFUSED


def test_every_format_of_a_string_is_named() -> None:
    [row] = [row for row in _tables(SECTIONS["## Formats"], "keyword") if row[0] == "`format`"]
    named = set(re.findall(r"`([^`]+)`", row[1])) - {"pattern"}
    assert named | {f"uuid{version}" for version in range(3, 9)} == FORMATS.keys()


def test_the_bounds_of_formats_are_those_of_the_grammars() -> None:
    bounds = (MAX_COUNTED_ITEMS, MAX_COUNTED_CHARACTERS, MAX_DEPTH, MAX_DIGITS, MAX_COUNT, MAX_PATTERN_CHARACTERS)
    said = {int(number) for number in re.findall(r"\b\d+\b", SECTIONS["## Formats"])}
    assert {*bounds, MAX_STATES} - said == set()
