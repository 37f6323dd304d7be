"""Several schemas that all apply, as one: `allOf`, and what stands beside a `$ref`."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from llm_gateway.grammar.keywords import RESTRICTING, Schema, check, refuse

Resolve = Callable[[str, str], object]
"""From a reference, and the place it stands in, to the schema it names."""

_OBJECT_KEYWORDS = frozenset({"properties", "additionalProperties"})
_LIST_KEYWORDS = frozenset({"items", "prefixItems"})
_LISTING = ("enum", "properties", "required", "prefixItems", "anyOf", "oneOf", "allOf", "type")
_MAX_PARTS = 100
_LARGER = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_SMALLER = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})


def flatten(schema: Schema, place: str, resolve: Resolve, spend: Callable[[int], None]) -> dict[str, Any]:
    """Return one schema without `$ref` that allows what `schema` does; `allOf` keeps only choices, all but one.

    `spend` is told, before two parts are merged, how much there is to compare; it may refuse.

    Raises:
        GrammarError: its parts contradict each other, or cannot be enforced together.
    """
    merged: dict[str, Any] = {}
    for part in _parts(schema, place, resolve, (), []):
        spend(_num_compared(merged) + _num_compared(part))
        merged = _merged(merged, part, place)
    return merged


def same(first: object, second: object) -> bool:
    """Say whether two values are the same JSON; unlike in Python, true is not 1."""
    if first is second:
        return True
    if type(first) is not type(second):
        return False
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(same(value, second[key]) for key, value in first.items())
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


def _parts(
    schema: object, place: str, resolve: Resolve, above: tuple[object, ...], found: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Collect the schemas that all apply in `found`, outermost first, without `$ref` and `allOf`."""
    if schema is True:
        return found
    if any(schema is other for other in above):
        refuse(place, "is made of itself and nothing else, through a reference; give it a content")
    if max(len(found), len(above)) > _MAX_PARTS:
        refuse(place, f"is made of more than {_MAX_PARTS} schemas that all apply; write fewer")
    if not isinstance(schema, Mapping):
        refuse(place, "allows nothing at all (false), so there is no answer; leave it out")
    check(schema, place)
    if len(schema.get("allOf", ())) > _MAX_PARTS:
        refuse(place, f"has more than {_MAX_PARTS} schemas in allOf; write fewer")
    own = {keyword: value for keyword, value in schema.items() if keyword in RESTRICTING - {"$ref", "allOf"}}
    if "const" in own:
        own = _merged({key: own[key] for key in own if key != "const"}, {"enum": [own["const"]]}, place)
    found.append(own)
    references = [resolve(schema["$ref"], place)] if "$ref" in schema else []
    for inner in [*references, *schema.get("allOf", ())]:
        _parts(inner, place, resolve, (*above, schema), found)
    return found


def _merged(first: dict[str, Any], second: dict[str, Any], place: str) -> dict[str, Any]:
    merged = dict(first)
    for keyword, value in second.items():
        if keyword not in first or same(first[keyword], value):
            merged[keyword] = value
        elif keyword not in _OBJECT_KEYWORDS:
            _join(merged, keyword, value, place)
    if not first.keys().isdisjoint(_OBJECT_KEYWORDS) and not second.keys().isdisjoint(_OBJECT_KEYWORDS):
        merged |= _merged_objects(first, second)
    lists = [{keyword: part[keyword] for keyword in _LIST_KEYWORDS & part.keys()} for part in (first, second)]
    if "prefixItems" in merged and all(lists) and not same(*lists):
        refuse(place, "combines prefixItems with items of another schema, which cannot be enforced; write them in one")
    return merged


def _join(merged: dict[str, Any], keyword: str, value: Any, place: str) -> None:  # noqa: ANN401 - JSON
    mine = merged[keyword]
    if keyword in _LARGER:
        merged[keyword] = max(mine, value)
    elif keyword in _SMALLER:
        merged[keyword] = min(mine, value)
    elif keyword == "required":
        merged[keyword] = list(dict.fromkeys([*mine, *value]))
    elif keyword == "type":
        merged[keyword] = _common_types(mine, value, place)
    elif keyword == "enum":
        merged[keyword] = _common_values(mine, value, place)
    elif keyword == "items":
        merged[keyword] = _both(mine, value)
    elif keyword in ("anyOf", "oneOf"):
        merged["allOf"] = [*merged.get("allOf", ()), {keyword: value}]
    elif keyword == "allOf":
        merged[keyword] = [*mine, *value]
    else:
        refuse(place, f"asks for two different values of {keyword}, which cannot be enforced together; write one")


def _merged_objects(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Merge properties: each schema's `additionalProperties` counts for the names that it does not list itself."""
    mine, others = first.get("properties", {}), second.get("properties", {})
    my_rest, other_rest = first.get("additionalProperties", True), second.get("additionalProperties", True)
    merged: dict[str, Any] = {}
    if "properties" in first or "properties" in second:
        merged["properties"] = {
            name: _both(mine.get(name, my_rest), others.get(name, other_rest)) for name in {**mine, **others}
        }
    if "additionalProperties" in first or "additionalProperties" in second:
        merged["additionalProperties"] = _both(my_rest, other_rest)
    return merged


def _both(first: object, second: object) -> object:
    if first is False or second is False:
        return False
    if first is True or same(first, second):
        return second
    return first if second is True else {"allOf": [first, second]}


def _common_types(first: str | list[str], second: str | list[str], place: str) -> list[str]:
    mine, others = ([names] if isinstance(names, str) else names for names in (first, second))
    mine, others = list(dict.fromkeys(mine)), list(dict.fromkeys(others))
    common = [name for name in mine if name in others or (name == "integer" and "number" in others)]
    common += [name for name in others if name == "integer" and "number" in mine and name not in common]
    if not common:
        refuse(place, f"asks for {' or '.join(mine)} and for {' or '.join(others)} at once; correct one of them")
    return common


def _common_values(first: list[object], second: list[object], place: str) -> list[object]:
    wanted = set(map(_as_text, second))
    common = [value for value in first if _as_text(value) in wanted]
    if not common:
        refuse(place, "asks for two lists of values that have none in common; correct one of them")
    return common


def _as_text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _num_compared(schema: Mapping[str, Any]) -> int:
    return 1 + sum(len(schema.get(keyword, ())) for keyword in _LISTING)
