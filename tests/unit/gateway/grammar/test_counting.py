"""Counted characters: exactly the lengths that were asked for, and assertions that are true."""

import itertools
import re

import pytest

from llm_gateway.grammar.counting import REACH, Counted, count, share_of_tokens
from llm_gateway.grammar.ebnf import EMPTY, Rules, literal, sequence
from llm_gateway.grammar.errors import GrammarError
from llm_gateway.grammar.regex_characters import ANY
from tests.support.grammar_sampler import Choice, Grammar, Name, Node, OneOf, Repeat, Text

LETTER = Counted(((0x61, 0x61),))
BOUNDS = (
    *((0, 0), (0, 1), (0, REACH), (0, REACH + 1), (1, 3), (2, 2), (3, REACH + 1), (5, 40), (30, 40), (40, 40)),
    *((0, 63), (0, 64), (7, 65), (1, 200)),
)


def lengths(grammar: Grammar, node: Node) -> set[int]:
    """List the lengths of what a grammar without loops allows."""
    match node:
        case Text(text):
            return {len(text)}
        case OneOf():
            return {1}
        case Name(name):
            return lengths(grammar, grammar.rules[name])
        case Repeat(part, minimum, maximum):
            each = lengths(grammar, part)
            numbers = range(minimum, int(maximum) + 1)
            return {sum(some) for number in numbers for some in itertools.product(each, repeat=number)}
        case Choice(alternatives):
            found: set[int] = set()
            for parts in alternatives:
                sums = {0}
                for part in parts:
                    sums = {total + length for total in sums for length in lengths(grammar, part)}
                found |= sums
            return found


def grammar_of(minimum: int, maximum: int | None, end: str = EMPTY) -> str:
    rules = Rules()
    return rules.build(count(rules, LETTER, minimum, maximum, end))


@pytest.mark.parametrize("end", ["", "."])
@pytest.mark.parametrize(("minimum", "maximum"), BOUNDS)
def test_every_length_between_the_bounds_is_allowed_and_no_other(minimum: int, maximum: int, end: str) -> None:
    grammar = Grammar(grammar_of(minimum, maximum, literal(end)))
    assert lengths(grammar, Name("root")) == set(range(minimum + len(end), maximum + len(end) + 1))


@pytest.mark.parametrize(("minimum", "maximum"), [(0, 17), (3, 40), (40, 40), (20, None), (0, 5000)])
def test_what_the_engine_looks_ahead_from_is_used_once_and_in_the_middle(minimum: int, maximum: int | None) -> None:
    """Otherwise it would check every token at every step; the sentences would stay the same."""
    text = grammar_of(minimum, maximum)
    (name,) = re.findall(r"^(\w+) ::= .*\(= ", text, re.MULTILINE)
    (place,) = re.findall(rf"(\S+) {name}\b (\S+)", re.sub(r"\(= .*\)", "", text))
    assert all(re.search(rf'^{neighbour.strip("()")} ::= ""$', text, re.MULTILINE) for neighbour in place)


def test_kinds_that_differ_in_their_escapes_alone_share_no_rule_that_looks_ahead() -> None:
    rules = Rules()
    both = sequence(count(rules, LETTER, 1, 50), count(rules, Counted(LETTER.plain, literal("b")), 1, 50))
    assert rules.build(both).count("(= ") == 2


def test_the_text_hardly_grows_with_the_number() -> None:
    assert len(grammar_of(0, 10_000)) < 2 * len(grammar_of(0, 100))


def test_narrow_characters_cost_less_than_wide_ones() -> None:
    assert share_of_tokens(((0x30, 0x39),)) < share_of_tokens(((0x61, 0x7A),)) < share_of_tokens(ANY) == 1


def test_the_price_grows_with_the_vocabulary_and_a_kind_is_paid_for_once() -> None:
    rules = Rules(vocabulary_tokens=151_936)
    for number in range(100, 200):
        count(rules, Counted(ANY), 0, number)
    count(Rules(vocabulary_tokens=300_000), Counted(ANY), 0, 100)
    with pytest.raises(GrammarError, match=r"the 6 places .* vocabulary of 1,000,000 tokens; leave"):
        count(Rules(vocabulary_tokens=1_000_000), Counted(ANY), 0, 100)
    count(Rules(), Counted(ANY), 0, 100)
