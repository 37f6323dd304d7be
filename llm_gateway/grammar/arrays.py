"""JSON lists."""

from typing import Any

from llm_gateway.grammar.ebnf import EMPTY, Rules, optional, sequence
from llm_gateway.grammar.json_values import any_list, comma, enclosed, members
from llm_gateway.grammar.keywords import refuse
from llm_gateway.grammar.writing import Write

MAX_COUNTED_ITEMS = 1000


def write_array(rules: Rules, schema: dict[str, Any], place: str, write: Write) -> str:
    """Write the lists that `schema` allows; after `prefixItems`, others only where `items` speaks of them.

    Raises:
        GrammarError: there are none, or they cannot be counted.
    """
    minimum, maximum = schema.get("minItems", 0), schema.get("maxItems")
    prefix: list[object] = schema.get("prefixItems", [])[:maximum]
    rest = schema.get("items", not prefix or minimum > len(prefix))
    _check_counts(minimum, maximum, len(prefix), rest, place)
    if not prefix and rest is True and not minimum and maximum is None:
        return any_list(rules)
    if not prefix:
        none = rest is False or maximum == 0
        content = EMPTY if none else members(rules, write(rest, f"{place}/items"), minimum, maximum)
        return rules.add("list", enclosed(rules, "[", content, "]"))
    written = [write(item, f"{place}/prefixItems/{index}") for index, item in enumerate(prefix)]
    further = EMPTY
    if rest is not False and maximum != len(prefix):
        room = None if maximum is None else maximum - len(prefix)
        further = members(rules, write(rest, f"{place}/items"), max(1, minimum - len(prefix)), room)
    content = _prefixed(rules, written, further, minimum)
    return rules.add("list", enclosed(rules, "[", content, "]"))


def _prefixed(rules: Rules, prefix: list[str], further: str, minimum: int) -> str:
    """Write the items of `prefix`, of which those past `minimum` may be left out together with all that follows."""
    tail = EMPTY
    if further != EMPTY:
        tail = sequence(comma(rules), further)
        tail = optional(tail) if minimum <= len(prefix) else tail
    for index in range(len(prefix) - 1, 0, -1):
        tail = sequence(comma(rules), prefix[index], tail)
        if index >= minimum:
            tail = optional(tail)
    whole = sequence(prefix[0], tail)
    return whole if minimum else optional(whole)


def _check_counts(minimum: int, maximum: int | None, prefix: int, rest: object, place: str) -> None:
    if maximum is not None and minimum > maximum:
        refuse(place, f"has minItems {minimum} above maxItems {maximum}; correct one of them")
    if minimum > MAX_COUNTED_ITEMS or (maximum or 0) > MAX_COUNTED_ITEMS:
        refuse(place, f"counts more than {MAX_COUNTED_ITEMS} items of a list; leave that bound out")
    if rest is False and minimum > prefix:
        refuse(place, f"asks for {minimum} items but allows only {prefix}; correct minItems")
