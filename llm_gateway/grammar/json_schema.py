"""Make a grammar of a JSON schema: every answer that it allows parses, and validates against the schema.

It may allow less than the schema: properties come in the order of the schema, properties that are not listed need an
`additionalProperties` to say so, numbers have up to 15 digits, and a pattern matches a whole string. `oneOf` is read
as `anyOf`, and `nullable` as OpenAPI 3.0 means it. Source of the keywords: JSON Schema, draft 2020-12.
"""

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any
from urllib.parse import unquote

from llm_gateway.grammar.arrays import write_array
from llm_gateway.grammar.ebnf import Rules, choice, literal
from llm_gateway.grammar.errors import GrammarError
from llm_gateway.grammar.json_values import FALSE, NULL, TRUE, any_object, any_value, integer, number
from llm_gateway.grammar.keywords import FAMILIES, RESTRICTING, check, is_number, refuse
from llm_gateway.grammar.merge import flatten
from llm_gateway.grammar.numbers import Bound, integers, numbers
from llm_gateway.grammar.objects import write_object
from llm_gateway.grammar.strings import write_string

MAX_DEPTH = 60
"""Bound of the nesting of a schema, in its own text and through its references."""
MAX_VALUES = 50_000
"""Bound of the values in a schema's own text."""
MAX_WRITTEN = 5000
"""Bound of the schemas that are written for one grammar, choices multiplied out."""
MAX_MERGED = 200_000
"""Bound of the values and properties that are compared where several schemas apply: about a second."""
_MAX_REFERENCE_CHARACTERS = 1000


def json_object_grammar() -> str:
    """Return the grammar of any JSON object."""
    rules = Rules()
    return rules.build(any_object(rules))


def json_schema_grammar(schema: Mapping[str, object], *, vocabulary_tokens: int) -> str:
    """Return the grammar whose answers are JSON texts that validate against `schema`.

    `vocabulary_tokens` is the size of the model's vocabulary.

    Raises:
        GrammarError: the schema is malformed or too large, allows nothing, has a keyword that cannot be enforced, or
            counts characters in so many ways that the engine would stall.
    """
    rules = Rules(vocabulary_tokens=vocabulary_tokens)
    return rules.build(add_schema(rules, schema))


def add_schema(rules: Rules, schema: object) -> str:
    """Return the expression for a whole schema, whose references are to places within itself.

    Raises:
        GrammarError: as in `json_schema_grammar`.
    """
    _check_size(schema)
    return _SchemaWriter(rules, schema).write(schema, "#")


class _SchemaWriter:
    def __init__(self, rules: Rules, document: object) -> None:
        self._rules = rules
        self._document = document
        self._written = 0
        self._merged = 0
        self._depth = 0

    def write(self, schema: object, place: str) -> str:
        """Write one schema; `place` is its JSON pointer."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            refuse(place, f"is nested more than {MAX_DEPTH} deep, references included; make it flatter")
        expression = self._write(schema, place)
        self._depth -= 1
        return expression

    def _write(self, schema: object, place: str) -> str:
        self._written += 1
        if self._written > MAX_WRITTEN:
            raise GrammarError(f"the schema has more than {MAX_WRITTEN} parts, choices multiplied out; make it smaller")
        if schema is True:
            return any_value(self._rules)
        if not isinstance(schema, Mapping):
            refuse(place, "allows nothing, or is not a schema; write an object there, or true for any value")
        check(schema, place)
        if schema.get("nullable") is True:
            bare = {keyword: value for keyword, value in schema.items() if keyword != "nullable"}
            return choice([self.write(bare, place), NULL])
        if RESTRICTING & schema.keys() == {"$ref"}:
            return self._reference(str(schema["$ref"]), place)
        return self._flat(flatten(schema, place, self._resolve, self._spend), place)

    def _flat(self, schema: dict[str, Any], place: str) -> str:
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                rest = {other: value for other, value in schema.items() if other != keyword}
                return self._alternatives(schema[keyword], rest, f"{place}/{keyword}")
        if "enum" in schema:
            return _values(schema, place)
        types = _types(schema)
        return choice(self._typed(name, schema, place) for name in types) if types else any_value(self._rules)

    def _alternatives(self, branches: list[object], rest: dict[str, Any], place: str) -> str:
        return choice(
            self.write({"allOf": [rest, branch]} if rest else branch, f"{place}/{index}")
            for index, branch in enumerate(branches)
        )

    def _spend(self, num_compared: int) -> None:
        self._merged += num_compared
        if self._merged > MAX_MERGED:
            raise GrammarError(
                f"the schema has more than {MAX_MERGED} values and properties where several schemas apply at once, "
                "choices multiplied out; make it smaller"
            )

    def _reference(self, reference: str, place: str) -> str:
        target = self._resolve(reference, place)
        hint = reference.rsplit("/", 1)[-1]
        return self._rules.recursive((self, reference), hint, lambda: self.write(target, reference))

    def _resolve(self, reference: str, place: str) -> object:
        found = self._document
        if len(reference) > _MAX_REFERENCE_CHARACTERS:
            refuse(place, f"has a reference of more than {_MAX_REFERENCE_CHARACTERS} characters; use shorter names")
        path = unquote(reference)
        if path != "#" and not path.startswith("#/"):
            refuse(place, f"refers to {reference!r}, which is not within the schema; put it there, under $defs")
        for step in path.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping) and key in found:
                found = found[key]
            elif isinstance(found, list) and key.isdecimal() and int(key[:9]) < len(found):
                found = found[int(key[:9])]
            else:
                refuse(place, f"refers to {reference!r}, which is not there; correct the reference")
        return found

    def _typed(self, name: str, schema: dict[str, Any], place: str) -> str:
        match name:
            case "object":
                return write_object(self._rules, schema, place, self.write)
            case "array":
                return write_array(self._rules, schema, place, self.write)
            case "string":
                return write_string(self._rules, schema, place)
            case "boolean":
                return choice([TRUE, FALSE])
            case "null":
                return NULL
        return self._rules.add(name, self._number(schema, place, whole=name == "integer"))

    def _number(self, schema: dict[str, Any], place: str, *, whole: bool) -> str:
        step = schema.get("multipleOf", 1)
        if step != 1:
            refuse(place, f"has multipleOf {step}, and only 1 can be enforced; write the schema without it")
        whole = whole or "multipleOf" in schema
        lowest = max(_bounds(schema, "minimum", "exclusiveMinimum"), default=None)
        highest = min(_bounds(schema, "maximum", "exclusiveMaximum"), key=_upper_first, default=None)
        if lowest is None and highest is None:
            return integer(self._rules) if whole else number(self._rules)
        written = integers(lowest, highest) if whole else numbers(lowest, highest)
        if written is None:
            refuse(place, "has bounds with no number of up to 15 digits between them; widen them")
        return written


def _bounds(schema: dict[str, Any], inclusive: str, exclusive: str) -> list[Bound]:
    """List the bounds of one side; as the decimal that was written, not as the double next to it."""
    names = ((inclusive, False), (exclusive, True))
    return [Bound(Fraction(str(schema[name])), excluded) for name, excluded in names if name in schema]


def _upper_first(bound: Bound) -> tuple[Fraction, bool]:
    """Of two upper bounds at the same number, the exclusive one is the lower."""
    return bound.value, not bound.exclusive


def _types(schema: dict[str, Any]) -> list[str]:
    """List the types asked for; without any, those that some keyword restricts."""
    asked = schema.get("type")
    if asked is None:
        return [name for name, keywords in FAMILIES.items() if keywords & schema.keys()]
    return [asked] if isinstance(asked, str) else list(dict.fromkeys(asked))


def _values(schema: dict[str, Any], place: str) -> str:
    """Write the values of `enum` that are of the right type; other keywords beside it are not enforced."""
    beside = sorted(schema.keys() - {"enum", "type", "format"})
    if beside:
        refuse(place, f"has {beside[0]} beside fixed values, which is not enforced; keep only the values that fit it")
    asked = _types({"type": schema["type"]}) if "type" in schema else None
    fitting = [value for value in schema["enum"] if asked is None or any(_is_a(value, name) for name in asked)]
    if not fitting:
        refuse(place, "has fixed values of which none is of its type; correct one of them")
    try:
        return choice(literal(json.dumps(value, ensure_ascii=False, allow_nan=False)) for value in fitting)
    except (GrammarError, ValueError) as error:
        raise GrammarError(f"the schema at {place} has a fixed value that cannot be written: {error}") from error


def _is_a(value: object, name: str) -> bool:
    match name:
        case "integer":
            return is_number(value) and (isinstance(value, int) or float(str(value)).is_integer())
        case "number":
            return is_number(value)
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
    return isinstance(value, kinds[name])


def _check_size(schema: object) -> None:
    """Refuse a text that is too deep or too long, before anything descends into it."""
    level, count = [schema], 0
    for _ in range(MAX_DEPTH):
        count += len(level)
        if count > MAX_VALUES:
            raise GrammarError(f"the schema has more than {MAX_VALUES} values; make it smaller")
        level = [inner for value in level for inner in _inner(value)]
        if not level:
            return
    raise GrammarError(f"the schema is nested more than {MAX_DEPTH} deep; make it flatter")


def _inner(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else []
