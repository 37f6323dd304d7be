"""Read a regular expression: what ECMA 262 and Python's `re` write in the same way.

Python's own parser is not used: its tree is private to `re`, and it reads some of ECMA's syntax (`(?<name>...)`, which
JSON schema refers to) as an error.
"""

import re
from typing import NoReturn

from llm_gateway.grammar.character_sets import Ranges
from llm_gateway.grammar.errors import GrammarError
from llm_gateway.grammar.regex_characters import ANY, ESCAPES, CharacterItem, exactly, in_class
from llm_gateway.grammar.regex_tree import Anchor, Choice, Node, OneOf, Repeat, Sequence

MAX_PATTERN_CHARACTERS = 4096
MAX_COUNT = 1000
"""Bound of m and n in `{m,n}`."""
_MAX_DEPTH = 50

_QUANTIFIER = re.compile(r"([?*+])|\{(\d+)(,?)(\d*)\}")
_BOUND_WITHOUT_START = re.compile(r"\{,\d*\}")
_GROUP_START = re.compile(r"\(\?(?::|P?<[A-Za-z_]\w*>)")
_CONTROL = {"t": "\t", "n": "\n", "r": "\r", "v": "\v", "f": "\f"}
_HEX = {"x": re.compile(r"[0-9a-fA-F]{2}"), "u": re.compile(r"[0-9a-fA-F]{4}"), "U": re.compile(r"[0-9a-fA-F]{8}")}
_REFUSED_GROUPS = (
    ("(?=", "a lookahead"),
    ("(?!", "a lookahead"),
    ("(?<=", "a lookbehind"),
    ("(?<!", "a lookbehind"),
    ("(?P=", "a backreference"),
    ("(?(", "a condition"),
    ("(?#", "a comment"),
    ("(?>", "an atomic group"),
)
_REFUSED_ESCAPES = {
    "b": "a word boundary",
    "B": "a word boundary",
    "p": "a Unicode property",
    "P": "a Unicode property",
}
_REFUSED_ESCAPES |= {"k": "a backreference", "g": "a backreference"} | dict.fromkeys("123456789", "a backreference")


def parse(pattern: str) -> Node:
    """Read `pattern` into a tree.

    Raises:
        GrammarError: it is malformed, too long, or uses what no grammar can express.
    """
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise GrammarError(
            f"the pattern has {len(pattern)} characters, more than the {MAX_PATTERN_CHARACTERS} allowed; shorten it"
        )
    return _Parser(pattern).whole()


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._alternatives()
        if self._at < len(self._pattern):
            self._refuse("a closing parenthesis that was never opened")
        return node

    def _alternatives(self) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            self._refuse(f"groups nested more than {_MAX_DEPTH} deep")
        found = [self._sequence()]
        while self._take("|"):
            found.append(self._sequence())
        self._depth -= 1
        return found[0] if len(found) == 1 else Choice(tuple(found))

    def _sequence(self) -> Node:
        parts = []
        while self._at < len(self._pattern) and self._peek() not in "|)":
            parts.append(self._quantified(self._atom()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _quantified(self, part: Node) -> Node:
        found = _QUANTIFIER.match(self._pattern, self._at)
        if found is None:
            if _BOUND_WITHOUT_START.match(self._pattern, self._at):
                self._refuse("a repetition without a lower bound, which ECMA and Python read differently")
            return part
        if isinstance(part, Anchor):
            self._refuse("a repeated anchor")
        self._at = found.end()
        minimum, maximum = _counts(found)
        if max(minimum, maximum or 0) > MAX_COUNT:
            self._refuse(f"a repetition of more than {MAX_COUNT} times")
        if maximum is not None and minimum > maximum:
            self._refuse("a repetition whose upper bound is below its lower bound")
        self._take("?")  # a lazy quantifier allows the same answers
        if self._take("+"):
            self._refuse("a possessive quantifier")
        if _QUANTIFIER.match(self._pattern, self._at):
            self._refuse("a quantifier after a quantifier")
        return Repeat(part, minimum, maximum)

    def _atom(self) -> Node:
        if _QUANTIFIER.match(self._pattern, self._at):
            self._refuse("a quantifier with nothing to repeat")
        character = self._next()
        match character:
            case "(":
                return self._group()
            case "[":
                return self._class()
            case ".":
                return OneOf(ANY)
            case "^" | "$":
                return Anchor(at_end=character == "$")
            case "\\":
                return self._escape_outside()
        return self._one_of(exactly(ord(character), ord(character)).inside)

    def _group(self) -> Node:
        start = self._at - 1
        rest = self._pattern[start : start + 4]
        if rest.startswith("(?"):
            for prefix, name in _REFUSED_GROUPS:
                if rest.startswith(prefix):
                    self._refuse(name)
            found = _GROUP_START.match(self._pattern, start)
            if found is None:
                self._refuse("flags, or a group of an unknown kind")
            self._at = found.end()
        node = self._alternatives()
        if not self._take(")"):
            self._refuse("a group that is never closed")
        return node

    def _class(self) -> Node:
        negated = self._take("^")
        items: list[CharacterItem] = []
        first = True
        while first or self._peek() != "]":
            if self._peek() == "]":
                self._refuse("a class that begins with a closing bracket, which ECMA and Python read differently")
            first = False
            items.append(self._class_item())
        self._at += 1
        return self._one_of(in_class(items, negated=negated))

    def _class_item(self) -> CharacterItem:
        low = self._class_character()
        if self._peek() != "-" or self._pattern[self._at + 1 : self._at + 2] in ("]", ""):
            return low if isinstance(low, CharacterItem) else exactly(low, low)
        self._at += 1
        high = self._class_character()
        if isinstance(low, CharacterItem) or isinstance(high, CharacterItem):
            self._refuse("a range with an end that is not one character")
        if low > high:
            self._refuse("a range whose end comes before its start")
        return exactly(low, high)

    def _class_character(self) -> int | CharacterItem:
        character = self._next()
        if character != "\\":
            return ord(character)
        if self._take("b"):
            return 0x08
        return self._escape()

    def _escape_outside(self) -> Node:
        letter = self._peek()
        if letter in _REFUSED_ESCAPES:
            self._refuse(_REFUSED_ESCAPES[letter])
        if letter in ("A", "Z"):
            self._at += 1
            return Anchor(at_end=letter == "Z")
        found = self._escape()
        return self._one_of(found.inside if isinstance(found, CharacterItem) else exactly(found, found).inside)

    def _escape(self) -> int | CharacterItem:
        letter = self._next()
        if letter in ESCAPES:
            return ESCAPES[letter]
        if letter in _CONTROL:
            return ord(_CONTROL[letter])
        if letter in _HEX:
            return self._hexadecimal(_HEX[letter])
        if letter.isascii() and letter.isalnum():
            self._refuse(_REFUSED_ESCAPES.get(letter, f"the escape \\{letter}"))
        return ord(letter)

    def _hexadecimal(self, digits: re.Pattern[str]) -> int:
        found = digits.match(self._pattern, self._at)
        if found is None:
            self._refuse("a hexadecimal escape without its digits")
        self._at = found.end()
        return int(found.group(), 16)

    def _one_of(self, ranges: Ranges) -> OneOf:
        if not ranges:
            self._refuse("a character or class that no answer can contain")
        return OneOf(ranges)

    def _peek(self) -> str:
        if self._at >= len(self._pattern):
            self._refuse("an escape, a class or a group that is never finished")
        return self._pattern[self._at]

    def _next(self) -> str:
        character = self._peek()
        self._at += 1
        return character

    def _take(self, character: str) -> bool:
        taken = self._pattern.startswith(character, self._at)
        self._at += len(character) if taken else 0
        return taken

    def _refuse(self, what: str) -> NoReturn:
        raise GrammarError(
            f"the pattern {_shortened(self._pattern)} has {what} at character {self._at}, which cannot be used here; "
            "write the pattern without it"
        )


def _counts(found: re.Match[str]) -> tuple[int, int | None]:
    sign, minimum, comma, maximum = found.groups()
    if sign:
        return int(sign == "+"), 1 if sign == "?" else None
    # Python stops reading numbers of more than 4,300 digits; nobody means one.
    low = int(minimum[:9])
    if maximum:
        return low, int(maximum[:9])
    return low, None if comma else low


def _shortened(pattern: str) -> str:
    return repr(pattern if len(pattern) <= 80 else f"{pattern[:77]}...")
