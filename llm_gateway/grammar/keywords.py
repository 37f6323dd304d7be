"""The keywords of a JSON schema: which restrict what, what their values are, and which cannot be enforced."""

import math
from collections.abc import Callable, Mapping
from typing import NoReturn, TypeAlias

from llm_gateway.grammar.errors import GrammarError

Schema: TypeAlias = Mapping[str, object]

TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")

FAMILIES: dict[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties", "minProperties", "maxProperties"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems"}),
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
}
"""Type: the keywords that restrict values of it and of no other type."""

COMBINING = frozenset({"type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"})
RESTRICTING = COMBINING.union(*FAMILIES.values())

REFUSED = frozenset(
    {
        *("not", "if", "then", "else", "dependentSchemas", "dependentRequired", "dependencies", "contains"),
        *("minContains", "maxContains", "uniqueItems", "unevaluatedItems", "unevaluatedProperties", "propertyNames"),
        *("patternProperties", "$dynamicRef", "$recursiveRef", "extends", "disallow", "divisibleBy"),
    }
)
"""What restricts an answer and is in no grammar. Whatever is in none of these sets is an annotation, and ignored."""

_HARMLESS: Mapping[str, object] = {"uniqueItems": False, "patternProperties": {}, "propertyNames": True}
"""Refused keywords, with the value that restricts nothing."""


_MAX_SHOWN_PLACE = 200


def refuse(place: str, sentence: str) -> NoReturn:
    shown = place if len(place) <= _MAX_SHOWN_PLACE else f"...{place[-_MAX_SHOWN_PLACE:]}"
    raise GrammarError(f"the schema at {shown} {sentence}")


def check(schema: Schema, place: str) -> None:
    """See to it that every keyword can be enforced and has a value of its kind.

    Raises:
        GrammarError: one has not, or cannot.
    """
    for keyword, value in schema.items():
        if keyword in REFUSED and not (keyword in _HARMLESS and value == _HARMLESS[keyword]):
            refuse(place, f"has the keyword {keyword}, which cannot be enforced here; write the schema without it")
        if keyword in _KINDS:
            expected, fits = _KINDS[keyword]
            if not fits(value):
                refuse(place, f"has {keyword} = {_shown(value)}, but {expected} was expected; correct it")


def is_number(value: object) -> bool:
    # An integer is asked first: beyond 1.8e308 `isfinite` fails on it.
    return not isinstance(value, bool) and (
        isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_schema(value: object) -> bool:
    return isinstance(value, Mapping | bool)


def _is_schema_list(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_schema, value))


def _is_type(value: object) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name in TYPES for name in names)


def _is_properties(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_schema, value.values()))


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


_Kind: TypeAlias = tuple[str, Callable[[object], bool]]
_COUNT: _Kind = ("an integer of at least 0", _is_count)
_NUMBER: _Kind = ("a finite number", is_number)
_SCHEMA: _Kind = ("a schema (an object, true or false)", _is_schema)
_SCHEMAS: _Kind = ("a list of schemas, with at least one", _is_schema_list)
_TEXT: _Kind = ("a text", lambda value: isinstance(value, str))
_KINDS: dict[str, _Kind] = {
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _COUNT),
    **dict.fromkeys(FAMILIES["number"], _NUMBER),
    **dict.fromkeys(("items", "additionalProperties"), _SCHEMA),
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), _SCHEMAS),
    **dict.fromkeys(("pattern", "format", "$ref"), _TEXT),
    "type": (f"one or more of {', '.join(TYPES)}", _is_type),
    "properties": ("an object of schemas", _is_properties),
    "required": ("a list of names", _is_names),
    "enum": ("a list with at least one value", lambda value: isinstance(value, list) and bool(value)),
    "nullable": ("true or false", lambda value: isinstance(value, bool)),
}
