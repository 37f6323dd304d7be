"""Rules, expressions, and what is refused before an engine could see it."""

import random

import pytest

from llm_gateway.grammar.character_sets import ALL, complement, of, union
from llm_gateway.grammar.ebnf import (
    EMPTY,
    MAX_RULES,
    Rules,
    character_class,
    choice,
    literal,
    optional,
    repeat,
    sequence,
)
from llm_gateway.grammar.errors import GrammarError
from llm_gateway.grammar.finiteness import rules_without_end
from tests.support.grammar_sampler import Grammar


def only_sentence(expression: str) -> str:
    return Grammar(Rules().build(expression)).sample(random.Random(0))


@pytest.mark.parametrize(
    "text", ["", "plain", 'a "quoted" \\ text', "line\nfeed\ttab\r", "\x7f\x01b\xa0c", "é😀\u2028f"]
)
def test_a_literal_is_exactly_its_text(text: str) -> None:
    grammar = Rules().build(literal(text))
    assert only_sentence(literal(text)) == text
    assert grammar.count("\n") == 1
    assert "\\x" not in grammar


@pytest.mark.parametrize("text", ["a\x00", "\ud800"])
def test_what_no_answer_can_contain_is_refused(text: str) -> None:
    with pytest.raises(GrammarError, match=r"U\+"):
        literal(text)


def test_equal_expressions_share_one_rule_and_names_are_never_reserved_words() -> None:
    rules = Rules()
    first = rules.add("true", literal("a"))
    assert rules.add("root", literal("a")) == first
    assert rules.add("root", literal("b")) not in (first, "root", "true", "false")


def test_a_class_of_every_special_character_has_just_those() -> None:
    special = "^-]\\[\"'az"
    grammar = Grammar(Rules().build(repeat(character_class(of(special)), 40, 40)))
    assert set("".join(grammar.sample(random.Random(seed)) for seed in range(20))) == set(special)


def test_the_complement_of_a_complement_is_the_set() -> None:
    some = union([(0x41, 0x5A), (0x5B, 0x60), (0x3000, 0x4000)])
    assert some == ((0x41, 0x60), (0x3000, 0x4000))
    assert complement(complement(some)) == some
    assert complement(()) == ALL
    assert complement(ALL) == ()


def test_parts_can_be_joined_without_a_thought_about_precedence() -> None:
    either = choice([literal("a"), literal("b")])
    assert only_sentence(sequence(repeat(choice([literal("x"), literal("x")]), 3, 3), EMPTY, literal("y"))) == "xxxy"
    sentences = {Grammar(Rules().build(sequence(either, optional(either)))).sample(random.Random(n)) for n in range(50)}
    assert sentences == {"a", "b", "aa", "ab", "ba", "bb"}


def test_a_grammar_that_explodes_is_refused() -> None:
    def grow(characters: int) -> None:
        rules = Rules()
        for number in range(MAX_RULES + 1):
            rules.add("rule", literal(f"{number:0{characters}}"))

    with pytest.raises(GrammarError, match="rules"):
        grow(4)
    with pytest.raises(GrammarError, match="characters"):
        grow(100)
    with pytest.raises(GrammarError, match="characters"):
        Rules().build(literal("x" * 70_000))


@pytest.mark.parametrize(
    ("rule", "ends"),
    [
        ('("[" a "]")', False),
        ('("[" a? "]")', True),
        ('("[" a* "]")', True),
        ('("[" a{0,3} "]")', True),
        ('("[" (a | "x") "]")', True),
        ('("[" ("x" a)+ "]")', False),
        ('("[" ("x" a){2} "]")', False),
        ('("x" | a) a', False),
        ("a", False),
        ('(a | "")', True),
        ('"(" [|)] a', False),
    ],
)
def test_a_rule_that_cannot_end_is_found(rule: str, ends: bool) -> None:
    assert rules_without_end({"a": rule}) == (set() if ends else {"a"})


def test_a_rule_ends_through_others_wherever_they_are_defined() -> None:
    assert rules_without_end({"a": "b", "b": "c", "c": '"x"', "d": "d", "e": "d"}) == {"d", "e"}
