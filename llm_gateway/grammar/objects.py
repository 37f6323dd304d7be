"""JSON objects: properties in the order of the schema, and after them others where the schema speaks of others."""

import json
from typing import Any, NamedTuple

from llm_gateway.grammar import character_sets
from llm_gateway.grammar.ebnf import EMPTY, Rules, character_class, choice, literal, optional, repeat, sequence
from llm_gateway.grammar.json_values import (
    PLAIN_CHARACTERS,
    QUOTE,
    any_object,
    colon,
    comma,
    enclosed,
    members,
    string,
)
from llm_gateway.grammar.keywords import refuse
from llm_gateway.grammar.writing import Write

MAX_COUNTED_MEMBERS = 1000
_MAX_COMPARED_CHARACTERS = 64
"""How much of a name is compared: longer ones that begin alike count as the same, and are not used."""


class _Member(NamedTuple):
    expression: str
    required: bool


class _Others(NamedTuple):
    """Members that the schema does not list: None for the expression where there are none."""

    expression: str | None
    most: int | None


def write_object(rules: Rules, schema: dict[str, Any], place: str, write: Write) -> str:
    """Write the objects that `schema` allows; where properties are listed, others need `additionalProperties`.

    Raises:
        GrammarError: there are none, or their number cannot be enforced.
    """
    required = list(dict.fromkeys(schema.get("required", ())))
    rest = schema.get("additionalProperties", "properties" not in schema)
    listed = _listed(schema, required, place)
    fewest, most = _counts(schema, listed, required, rest, place)
    if not listed and rest is True and not fewest and most is None and "properties" not in schema:
        return any_object(rules)
    written = [
        _Member(_pair(rules, name, write(value, f"{place}/properties/{_escaped(name)}")), name in required)
        for name, value in listed.items()
    ]
    others = _Others(None, 0)
    if rest is not False and most != len(listed):
        key = _other_key(rules, [*schema.get("properties", ()), *required])
        value = write(rest, f"{place}/additionalProperties")
        room = None if most is None else most - len(listed)
        others = _Others(rules.add("other_member", sequence(key, colon(rules), value)), room)
    content = _members(rules, written, others, may_be_empty=not fewest)
    return rules.add(place.rsplit("/", 1)[-1] if "/" in place else "object", enclosed(rules, "{", content, "}"))


def _pair(rules: Rules, name: str, value: str) -> str:
    # A rule of its own: XGrammar compiles a hundred optional properties a hundred times faster than without.
    return rules.add(f"property_{name}", sequence(literal(_json(name)), colon(rules), value))


def _listed(schema: dict[str, Any], required: list[str], place: str) -> dict[str, object]:
    """Return the schema of every property that is named and may appear, in order."""
    listed = dict(schema.get("properties", {}))
    for name in required:
        value = listed.setdefault(name, schema.get("additionalProperties", True))
        if value is False:
            refuse(place, f"requires the property {name!r} and forbids it; correct required")
    return {name: value for name, value in listed.items() if value is not False}


def _counts(
    schema: dict[str, Any], listed: dict[str, object], required: list[str], rest: object, place: str
) -> tuple[bool, int | None]:
    """Return whether the object may not be empty though nothing is required, and the most members it may have."""
    fewest, most = schema.get("minProperties", 0), schema.get("maxProperties")
    if rest is not False and most is not None and most - len(listed) > MAX_COUNTED_MEMBERS:
        refuse(place, f"counts more than {MAX_COUNTED_MEMBERS} members of an object; leave maxProperties out")
    if fewest > max(1, len(required)):
        refuse(place, f"has minProperties {fewest}, which cannot be enforced; name those properties in required")
    if fewest and not listed and (rest is False or most == 0):
        refuse(place, f"has minProperties {fewest} but allows no property; correct one of them")
    if most is not None and most < len(listed):
        refuse(place, f"has maxProperties {most} below its {len(listed)} properties, which cannot be enforced")
    return fewest > len(required), None if rest is False else most


def _members(rules: Rules, listed: list[_Member], others: _Others, *, may_be_empty: bool) -> str:
    """Write any choice of members in order, with commas between those that are there.

    What may come after a member is written once, whichever member is the first: the size grows as their number does.
    """
    first_required = next((index for index, member in enumerate(listed) if member.required), len(listed))
    after: list[str] = []
    beginnings: list[str] = []
    if others.expression is not None:
        after = [repeat(sequence(comma(rules), others.expression), 0, others.most)]
        if first_required == len(listed):
            beginnings.append(members(rules, others.expression, 1, others.most))
    for index in range(len(listed) - 1, -1, -1):
        expression, required = listed[index]
        if index <= first_required:
            if index > 0 and after:
                after = [rules.add("further_members", sequence(*after))]
            beginnings.append(sequence(expression, *after))
        following = sequence(comma(rules), expression)
        after = [following if required else optional(following), *after]
    if first_required == len(listed) and may_be_empty:
        beginnings.append(EMPTY)
    return choice(reversed(beginnings)) if beginnings else EMPTY


def _other_key(rules: Rules, names: list[str]) -> str:
    """Write a key that is none of `names`; no escapes, with which any name could be spelled in another way."""
    if not names:
        return string(rules)
    plain = repeat(character_class(PLAIN_CHARACTERS))
    return rules.add("other_key", sequence(QUOTE, _unlike(rules, names, rules.add("key_characters", plain), 0), QUOTE))


def _unlike(rules: Rules, names: list[str], anything: str, depth: int) -> str:
    """Write the rest of a key that is none of `names`, which all begin with the `depth` characters before it."""
    following: dict[str, list[str]] = {}
    for name in names:
        if len(name) > depth:
            following.setdefault(name[depth], []).append(name)
    other = character_sets.without(PLAIN_CHARACTERS, character_sets.of("".join(following)))
    alternatives = [sequence(character_class(other), anything)]
    if all(len(name) > depth for name in names):
        alternatives.insert(0, EMPTY)
    if depth < _MAX_COMPARED_CHARACTERS:
        alternatives += [
            sequence(literal(character), _unlike(rules, alike, anything, depth + 1))
            for character, alike in following.items()
            if character_sets.intersection(character_sets.of(character), PLAIN_CHARACTERS)
        ]
    # A rule for each character: in one expression XGrammar compiles a hundred names for seconds.
    return rules.add("other_key_rest", choice(alternatives))


def _json(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
