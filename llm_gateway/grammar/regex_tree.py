"""A regular expression as a tree, and the lengths of what it matches."""

import itertools
import math
from dataclasses import dataclass
from typing import TypeAlias, TypeGuard

from llm_gateway.grammar.character_sets import Ranges

MAX_WAYS = 4
"""In how many ways `in_full` writes one node."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """One character of a set."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Sequence:
    """One part after the other; without parts, the empty text."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several."""

    alternatives: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Repeat:
    """A part between `minimum` and `maximum` times; None is without a bound."""

    part: "Node"
    minimum: int
    maximum: int | None


@dataclass(frozen=True, slots=True)
class Anchor:
    """A place: the start of the text, or its end."""

    at_end: bool


Node: TypeAlias = OneOf | Sequence | Choice | Repeat | Anchor


def lengths(node: Node) -> tuple[int, int | None]:
    """Return the fewest and the most characters that `node` matches; None is without a bound."""
    match node:
        case OneOf():
            return 1, 1
        case Anchor():
            return 0, 0
        case Sequence(parts):
            found = [lengths(part) for part in parts]
            longest = [high for _, high in found]
            return sum(low for low, _ in found), None if None in longest else sum(high or 0 for high in longest)
        case Choice(alternatives):
            found = [lengths(alternative) for alternative in alternatives]
            longest = [high for _, high in found]
            return min(low for low, _ in found), None if None in longest else max(high or 0 for high in longest)
        case Repeat(part, minimum, maximum):
            low, high = lengths(part)
            if high == 0 or maximum == 0:
                return 0, 0
            return low * minimum, None if high is None or maximum is None else high * maximum


def states(node: Node) -> int:
    """Return about how many states an automaton for `node` has, with counted repetitions written out."""
    match node:
        case OneOf() | Anchor():
            return 1
        case Sequence(parts):
            return sum(map(states, parts))
        case Choice(alternatives):
            return sum(map(states, alternatives))
        case Repeat(part, minimum, maximum):
            return states(part) * max(1, minimum if maximum is None else maximum)


def in_full(node: Node) -> tuple[Node, ...]:
    """Return the ways in which `node` can be written without optional parts, or `node` alone where they are many."""
    match node:
        case Choice(alternatives):
            ways = tuple(way for alternative in alternatives for way in in_full(alternative))
        case Sequence(parts):
            options = [(Sequence(()), part.part) if _is_optional(part) else (part,) for part in parts]
            # Counted before they are made: forty optional parts have as many ways as a terabyte has bytes.
            if math.prod(map(len, options)) > MAX_WAYS:
                return (node,)
            ways = tuple(Sequence(way) for way in itertools.product(*options))
        case _:
            ways = (node,)
    return ways if len(ways) <= MAX_WAYS else (node,)


def _is_optional(node: Node) -> TypeGuard[Repeat]:
    return isinstance(node, Repeat) and (node.minimum, node.maximum) == (0, 1)
