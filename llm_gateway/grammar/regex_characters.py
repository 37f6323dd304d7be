"""The characters that a regular expression's escapes and classes stand for.

ECMA 262, which JSON schema refers to, and Python's `re`, with which many check an answer, disagree about characters
beyond ASCII. So each escape has the characters that both let through; a negated class has those that both leave.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llm_gateway.grammar import character_sets
from llm_gateway.grammar.character_sets import Ranges

_DIGITS = character_sets.of("0123456789")
_WORD = character_sets.union([*_DIGITS, (0x41, 0x5A), (0x61, 0x7A), (0x5F, 0x5F)])
_SPACE = character_sets.of(" \t\n\r\v\f")
_SPACE_BEYOND_ASCII = character_sets.union(
    [
        *((0x1C, 0x1F), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029)),
        *((0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
    ]
)
_USUAL = character_sets.without(character_sets.ALL, ((0x01, 0x08), (0x0B, 0x0C), (0x0E, 0x1F), (0x7F, 0x9F)))
"""What a set that is defined by what it leaves out has at most: no control characters but tab, line feed and return."""

_NOT_DIGITS = character_sets.intersection(
    character_sets.without(((0x01, 0x065F), (0x1C5A, 0xA61F), (0xABFA, 0xD7FF), (0xE000, 0xFF0F)), _DIGITS), _USUAL
)
"""No decimal digit of any script; the ranges that mix scripts with digits of their own are left out altogether."""

_NOT_WORD = character_sets.intersection(
    character_sets.without(((0x01, 0x7F), (0x2010, 0x2027), (0x3001, 0x3003)), _WORD), _USUAL
)
_NOT_SPACE = character_sets.intersection(
    character_sets.complement(character_sets.union([*_SPACE, *_SPACE_BEYOND_ASCII])), _USUAL
)


@dataclass(frozen=True, slots=True)
class CharacterItem:
    """One item of a class: the characters that it surely has, and those that it surely leaves."""

    inside: Ranges
    outside: Ranges


ESCAPES = {
    "d": CharacterItem(_DIGITS, _NOT_DIGITS),
    "D": CharacterItem(_NOT_DIGITS, _DIGITS),
    "w": CharacterItem(_WORD, _NOT_WORD),
    "W": CharacterItem(_NOT_WORD, _WORD),
    "s": CharacterItem(_SPACE, _NOT_SPACE),
    "S": CharacterItem(_NOT_SPACE, _SPACE),
}

ANY = character_sets.without(_USUAL, character_sets.of("\n\r\u2028\u2029"))
"""What a dot stands for."""


def exactly(low: int, high: int) -> CharacterItem:
    ranges = character_sets.intersection(((low, high),), character_sets.ALL)
    return CharacterItem(ranges, character_sets.complement(ranges))


def in_class(items: Sequence[CharacterItem], *, negated: bool) -> Ranges:
    """Return the characters of a class such as `[a-z\\d]`, or of `[^a-z\\d]`; possibly none."""
    if not negated:
        return character_sets.union(pair for item in items for pair in item.inside)
    left = _USUAL
    for item in items:
        left = character_sets.intersection(left, item.outside)
    return left
