"""Counted characters, at a price that hardly depends on how many are counted.

What XGrammar prepares before the first token is a mask over the vocabulary for every place of the grammar that reads a
character. With 152,000 tokens one takes about 35 ms of a core if most tokens fit there, and `[^"]{0,200}` has 200 such
places. A rule for one character has a single place, but the rule ends before most tokens do, and then each of these is
looked at again at every step, for 0.2 s and more.

So a character that is counted has a rule of its own, which says in a lookahead assertion that `REACH` more of its kind
can follow: a token of up to so many characters is decided beforehand. XGrammar takes the assertion at its word where
the rule is used in one place alone, and not at the beginning of a sequence, where it would copy the rule's content.
The counting is left to rules that double each other. The assertion is true because the last `REACH` characters before
a bound are written out one by one.
"""

from typing import NamedTuple

from llm_gateway.grammar import character_sets
from llm_gateway.grammar.character_sets import Ranges
from llm_gateway.grammar.ebnf import EMPTY, Rules, character_class, choice, literal, repeat, sequence

REACH = 16
"""Characters that are looked ahead. The few tokens that are longer are not used: what they say has other spellings."""

_IN_NO_TOKEN = literal("\x01")

WIDE = 0.3
"""From this share of the tokens on, a character is worth avoiding a rule for it."""

_REQUIRED = 0.4
"""What a mask costs where the character must come, compared to where the end may come as well."""
_LOOP = 0.25
"""What a mask costs where any number may come: tokens of ASCII characters alone are not looked at more closely."""

_MANY_LETTERS = 12
_LETTERS: Ranges = ((0x41, 0x5A), (0x61, 0x7A))
_BEYOND_ASCII: Ranges = ((0x80, 0x10FFFF),)
_MANY_BEYOND_ASCII = 1000


class Counted(NamedTuple):
    """A kind of character: those written as they are, of which there is one at least, and the expression of others."""

    plain: Ranges
    escaped: str | None = None


def count(rules: Rules, kind: Counted, minimum: int, maximum: int | None, end: str = EMPTY) -> str:
    """Write `minimum` to `maximum` characters, None being without a bound, and what comes after them.

    Raises:
        GrammarError: the grammar has become too large, or too slow for its vocabulary.
    """
    if maximum is None:
        return sequence(_exactly(rules, kind, minimum), any_number(rules, kind), end)
    far = maximum - REACH
    if minimum > far:
        first = max(0, far)
        return sequence(_exactly(rules, kind, first), _rest(rules, kind, minimum - first, maximum - first, end))
    early = sequence(_exactly(rules, kind, minimum), _up_to(rules, kind, far - minimum), end)
    return choice([early, sequence(_exactly(rules, kind, far), _rest(rules, kind, 0, REACH, end))])


def any_number(rules: Rules, kind: Counted) -> str:
    """Write any number of characters: as runs of plain ones, with those between that are not.

    With a vocabulary of 152,000 tokens XGrammar takes 2 ms a token for this, and 140 ms for `(plain | escaped)*`.
    """
    plain = character_class(kind.plain)
    rules.spend(masks(kind.plain, 0, None), kind)
    return repeat(plain) if kind.escaped is None else runs(plain, kind.escaped)


def runs(plain: str, escaped: str) -> str:
    return sequence(repeat(plain), repeat(sequence(escaped, repeat(plain))))


def share_of_tokens(ranges: Ranges) -> float:
    """Estimate what a mask for a character of `ranges` costs, 1 being that for any character.

    Measured with 152,000 tokens, of which a third is not ASCII: a mask for `[a-z]` takes a quarter of one for `.`.
    """
    if _size(character_sets.intersection(ranges, _BEYOND_ASCII)) >= _MANY_BEYOND_ASCII:
        return 1
    return WIDE if _size(character_sets.intersection(ranges, _LETTERS)) > _MANY_LETTERS else 0.02


def masks(ranges: Ranges, minimum: int, maximum: int | None) -> float:
    """Estimate what it costs to write characters one by one, in masks for any character that may be the last one."""
    optional = _LOOP if maximum is None else maximum - minimum
    return share_of_tokens(ranges) * (minimum * _REQUIRED + optional)


def _exactly(rules: Rules, kind: Counted, number: int) -> str:
    powers = [power for power in range(number.bit_length() - 1, -1, -1) if number >> power & 1]
    return sequence(*(_doubled(rules, kind, power) for power in powers))


def _up_to(rules: Rules, kind: Counted, number: int) -> str:
    """Write 0 to `number` characters; at any of them, few ways of counting are open."""
    if number == 0:
        return EMPTY
    power = number.bit_length() - 1
    below, left = (1 << power) - 1, number - (1 << power)
    without = _up_to(rules, kind, below)
    after = without if left == below else _up_to(rules, kind, left)
    return rules.add("up_to", choice([sequence(_doubled(rules, kind, power), after), without]))


def _doubled(rules: Rules, kind: Counted, power: int) -> str:
    if power > 0:
        half = _doubled(rules, kind, power - 1)
        return rules.add("counted", sequence(half, half))
    rules.spend(2 * masks(kind.plain, 0, 1), ("character", kind))
    nothing = rules.add("nothing", EMPTY)
    character = _looking_ahead(rules, kind)
    one = f"({nothing} {character} {nothing})"
    return rules.add("counted", one if kind.escaped is None else choice([one, kind.escaped]))


def _looking_ahead(rules: Rules, kind: Counted) -> str:
    """Write the rule of one plain character, which more of them can follow.

    The assertion repeats the rule's name: in a class of its own XGrammar would take all characters beyond U+00FF for
    their lowest byte. What ends it is found in no token, so longer tokens are left out instead of looked at again at
    each step. The rule is known by its kind: two kinds that differ in escapes alone must not share it.
    """

    def write() -> str:
        ahead = [_looking_ahead(rules, kind)] * REACH
        return f"{character_class(kind.plain)} (= {' '.join([*ahead, _IN_NO_TOKEN])})"

    return rules.recursive(("character", kind), "character", write)


def _rest(rules: Rules, kind: Counted, minimum: int, maximum: int, end: str) -> str:
    """Write the last characters one by one: a rule for each, which is one of them and the next rule."""
    if maximum == 0:
        return end
    one_more = masks(kind.plain, min(1, minimum), 1)
    rules.spend(one_more, ("rest", kind, minimum, maximum, end))
    further = _rest(rules, kind, max(0, minimum - 1), maximum - 1, end)
    ways = [sequence(one, further) for one in (character_class(kind.plain), kind.escaped) if one is not None]
    return rules.add("rest", choice([*([] if minimum else [end]), *ways]))


def _size(ranges: Ranges) -> int:
    return sum(high - low + 1 for low, high in ranges)
