"""Rules and expressions of a grammar, written in the EBNF dialect of XGrammar (which is llama.cpp's GBNF).

An expression is text: a literal, a character class, a rule's name, or what the functions here make of those. Everything
that is not one of the three is put in parentheses, so expressions can be joined without a thought about precedence.
A hexadecimal escape `\\xHH` swallows every hexadecimal digit that follows it, so only `\\uHHHH` and `\\UHHHHHHHH` are
written; U+0000 is dropped from literals by XGrammar, so it is refused.
"""

import re
from collections.abc import Callable, Hashable, Iterable

from llm_gateway.grammar.character_sets import Ranges
from llm_gateway.grammar.errors import GrammarError
from llm_gateway.grammar.finiteness import rules_without_end

MAX_GRAMMAR_CHARACTERS = 64 << 10
"""Bound of a whole grammar's text: the engine compiles it while every other sequence waits."""
MAX_RULES = 2000

MAX_TOKEN_MASKS = 6_000_000
"""Bound of the masks that the engine prepares, times the tokens of the vocabulary: 1.3 s of one core."""

EMPTY = '""'

_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SPECIAL_IN_CLASSES = frozenset("[]^-\\\"'")


class Rules:
    """The rules of one grammar while it grows; equal expressions share one rule.

    `vocabulary_tokens` is the size of the model's vocabulary, by which the price of counted characters grows. Without
    it the price has no bound.
    """

    def __init__(self, *, vocabulary_tokens: int = 0) -> None:
        self._vocabulary_tokens = vocabulary_tokens
        self._masks = 0.0
        self._paid: set[Hashable] = set()
        self._expressions: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._recursive: dict[Hashable, str] = {}
        self._reserved = 0
        self._characters = 0

    def add(self, name_hint: str, expression: str) -> str:
        """Name an expression, and return the name.

        Raises:
            GrammarError: the grammar has become too large.
        """
        name = self._names.get(expression)
        if name is None:
            name = self._names[expression] = self._reserve(name_hint)
            self._define(name, expression)
        return name

    def recursive(self, key: Hashable, name_hint: str, write: Callable[[], str]) -> str:
        """Return the rule known as `key`; the first call writes it, and while it does, further ones only name it.

        Raises:
            GrammarError: the grammar has become too large.
        """
        if key not in self._recursive:
            self._recursive[key] = self._reserve(name_hint)
            self._define(self._recursive[key], write())
        return self._recursive[key]

    def spend(self, masks: float, key: Hashable = None) -> None:
        """Count masks that the engine must prepare; what is known as `key` is prepared once.

        Raises:
            GrammarError: they would take so long that every other request would notice.
        """
        if key is not None:
            if key in self._paid:
                return
            self._paid.add(key)
        self._masks += masks
        if self._masks * self._vocabulary_tokens > MAX_TOKEN_MASKS:
            raise GrammarError(
                f"characters are counted in more than the {MAX_TOKEN_MASKS // self._vocabulary_tokens} places that the"
                f" engine can prepare in a second with this model's vocabulary of {self._vocabulary_tokens:,} tokens;"
                " leave some lengths or repetitions out, and check them afterwards"
            )

    def build(self, root_expression: str) -> str:
        """Return the whole grammar, whose answers are those of `root_expression`.

        Raises:
            GrammarError: it is too large, or some part of it can never come to an end.
        """
        expressions = {**self._expressions, "root": root_expression}
        text = "".join(f"{name} ::= {expression}\n" for name, expression in expressions.items())
        _check_length(len(text))
        if rules_without_end(expressions):
            raise GrammarError(
                "the structure contains itself in a place that cannot be left out, so no answer could ever end; "
                "make that place optional, nullable or a list that may be empty"
            )
        return text

    def _reserve(self, name_hint: str) -> str:
        self._reserved += 1
        if self._reserved > MAX_RULES:
            raise GrammarError(f"the grammar has more than {MAX_RULES} rules; ask for a smaller structure")
        words = _NOT_IN_NAMES.sub("_", name_hint.lower()).strip("_")[-32:]
        return f"r_{words or 'rule'}_{self._reserved}"

    def _define(self, name: str, expression: str) -> None:
        self._characters += len(name) + len(expression)
        _check_length(self._characters)
        self._expressions[name] = expression


def literal(text: str) -> str:
    """Write the terminal that is exactly `text`.

    Raises:
        GrammarError: the text has U+0000 or half of a surrogate pair, which no answer can contain.
    """
    return '"' + "".join(map(_in_literal, text)) + '"'


def character_class(ranges: Ranges) -> str:
    """Write the class of the characters in `ranges`, of which there is at least one.

    Never a negated class: XGrammar clamps those at U+007F and lets more through than was meant.
    """
    assert ranges, "an empty class means every character to XGrammar"
    return (
        "["
        + "".join(_in_class(low) if low == high else f"{_in_class(low)}-{_in_class(high)}" for low, high in ranges)
        + "]"
    )


def sequence(*parts: str) -> str:
    """Join expressions, one after the other."""
    wanted = [part for part in parts if part != EMPTY]
    return _group(" ".join(wanted)) if len(wanted) > 1 else (wanted or [EMPTY])[0]


def choice(alternatives: Iterable[str]) -> str:
    """Join expressions of which one is taken; there is at least one."""
    distinct = list(dict.fromkeys(alternatives))
    assert distinct, "a choice needs something to choose from"
    return _group(" | ".join(distinct)) if len(distinct) > 1 else distinct[0]


def optional(expression: str) -> str:
    return _group(f"{expression}?") if expression != EMPTY else EMPTY


def repeat(expression: str, minimum: int = 0, maximum: int | None = None) -> str:
    """Repeat an expression between `minimum` and `maximum` times; None is without a bound."""
    if expression == EMPTY or maximum == 0:
        return EMPTY
    if (minimum, maximum) == (1, 1):
        return expression
    if (minimum, maximum) == (0, 1):
        return optional(expression)
    return _group(f"{expression}{_quantifier(minimum, maximum)}")


def _quantifier(minimum: int, maximum: int | None) -> str:
    if maximum is None:
        return {0: "*", 1: "+"}.get(minimum, f"{{{minimum},}}")
    return f"{{{minimum}}}" if minimum == maximum else f"{{{minimum},{maximum}}}"


def _group(expression: str) -> str:
    return f"({expression})"


def _in_literal(character: str) -> str:
    code = ord(character)
    if code == 0 or 0xD800 <= code <= 0xDFFF:
        raise GrammarError(
            f"U+{code:04X} was asked for as part of an answer, but no answer can contain it; leave it out"
        )
    return _SHORT_ESCAPES.get(character) or (character if character.isprintable() else _escaped(code))


def _in_class(code: int) -> str:
    character = chr(code)
    return character if 0x20 < code < 0x7F and character not in _SPECIAL_IN_CLASSES else _escaped(code)


def _escaped(code: int) -> str:
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _check_length(characters: int) -> None:
    if characters > MAX_GRAMMAR_CHARACTERS:
        raise GrammarError(
            f"the grammar is longer than {MAX_GRAMMAR_CHARACTERS} characters; ask for a smaller structure"
        )
