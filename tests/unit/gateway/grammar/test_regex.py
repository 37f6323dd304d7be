"""Regular expressions: what the grammar allows is matched by the expression, in Python's own reading of it."""

import json
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.grammar.ebnf import Rules, literal, sequence
from llm_gateway.grammar.errors import GrammarError
from llm_gateway.grammar.formats import FORMATS
from llm_gateway.grammar.regex import add_regex, regex_grammar
from llm_gateway.grammar.regex_parser import parse
from llm_gateway.grammar.regex_tree import lengths
from tests.support.grammar_sampler import Grammar

PATTERNS = [
    r"",
    r"abc",
    r"^abc$",
    r"\Aa|b\Z",
    r"^(?:yes|no)$|^maybe$",
    r"(a|b)*c+d?",
    r"[a-z]{2,5}",
    r"[^a-z]{3}",
    r"[^\d\s]{2,}",
    r"[\w.-]+@[\w-]+\.[a-z]{2,3}",
    r"\d{3}-\d{4}",
    r"\D\W\S\d\w\s",
    r"(?P<year>\d{4})-(?:0[1-9]|1[0-2])",
    r".*?\.",
    r"[\]\\^-]+",
    r"[-a]+",
    r"[a-]+",
    r"\x41\u00e9\t\n\.",
    r"[\x41-\x43\b]",
    r"(a?){3}",
    r"(|x)y",
    r"a{0}b",
    r"a{,b}",
    r"x{2,}",
    r'"[^"\\]*"',
    r"[\s\S]{1,5}",
    r"[☃-☆é]+",
    r"\$\^\/\-",
    r"(\w+ ?)+",
    r"(\w+,? ?)+\.",
    r"(a|bc?)*d",
    r"(?:x{2,40}y?){2,}",
    r"(a*b?)*c",
    r"[^,]{3,90}",
    r".{20,}",
]


def grammar_of(pattern: str) -> str:
    return regex_grammar(pattern, vocabulary_tokens=151_936)


def samples(grammar: str, number: int = 40) -> list[str]:
    read = Grammar(grammar)
    return [read.sample(random.Random(seed)) for seed in range(number)]


def in_json(pattern: str) -> list[str]:
    rules = Rules()
    content = add_regex(rules, pattern, in_json_string=True)
    return [json.loads(text) for text in samples(rules.build(sequence(literal('"'), content, literal('"'))))]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_the_grammar_allows_is_matched(pattern: str) -> None:
    for text in samples(grammar_of(pattern)):
        assert re.fullmatch(pattern, text), (pattern, text)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_in_a_json_string_it_is_matched_once_it_is_read(pattern: str) -> None:
    for text in in_json(pattern):
        assert re.fullmatch(pattern, text), (pattern, text)


def test_a_group_named_as_in_ecma_is_a_group() -> None:
    assert set(samples(grammar_of("(?<name>a)b"))) == {"ab"}


def test_quotes_backslashes_and_control_characters_are_there_as_escapes() -> None:
    read = set(in_json(r'["\\\n\x01a]'))
    assert read == {'"', "\\", "\n", "\x01", "a"}


@pytest.mark.parametrize(
    "escape", [r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"[^\d]", r"[^\D]", r"[^\w]", r"[^\S]", "."]
)
def test_every_character_of_an_escape_is_one_to_python_too(escape: str) -> None:
    tree = parse(escape)
    for low, high in tree.ranges:  # type: ignore[union-attr]
        text = "".join(map(chr, range(low, high + 1)))
        assert len(re.findall(escape, text)) == len(text), (escape, hex(low), hex(high))


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        (r"(?=a)b", "lookahead"),
        (r"a(?!b)", "lookahead"),
        (r"(?<=a)b", "lookbehind"),
        (r"(?<!a)b", "lookbehind"),
        (r"(a)\1", "backreference"),
        (r"(?P<n>a)(?P=n)", "backreference"),
        (r"(a)(?(1)b|c)", "condition"),
        (r"\bword\b", "word boundary"),
        (r"(?i)abc", "flags"),
        (r"\p{L}", "Unicode property"),
        (r"a++", "possessive"),
        (r"a**", "quantifier after a quantifier"),
        (r"*a", "nothing to repeat"),
        (r"(a", "never"),
        (r"a)", "never opened"),
        (r"[a", "never finished"),
        (r"[]a]", "closing bracket"),
        (r"[z-a]", "range"),
        (r"[\d-z]", "range"),
        (r"a{3,2}", "below"),
        (r"a{1001}", "1000"),
        (r"a{,3}", "lower bound"),
        (r"(a{1000}){1000}", "repeats"),
        (r"a^b", "first"),
        (r"a$b", "last"),
        (r"(^a)*", "first"),
        (r"^*", "anchor"),
        ("\\", "never finished"),
        (r"\q", "escape"),
        (r"\x4", "hexadecimal"),
        ("\x00", "no answer"),
        (r"[^\s\S]", "no answer"),
        ("(" * 60 + ")" * 60, "nested"),
        ("a" * 5000, "5000 characters"),
    ],
)
def test_what_no_grammar_can_express_is_refused_by_name(pattern: str, named: str) -> None:
    with pytest.raises(GrammarError, match=re.escape(named)) as refused:
        grammar_of(pattern)
    assert "\n" not in str(refused.value)


def test_patterns_that_would_stall_the_engine_are_refused() -> None:
    pattern = ".{1,99}-[a-z]{1,99}-[^a]{1,99}-[A-Z]{1,99}"
    with pytest.raises(GrammarError, match="vocabulary of 151,936 tokens"):
        grammar_of(pattern)
    with pytest.raises(GrammarError, match="more than the 39 places"):
        grammar_of("([a-z]{2,10}-){3,20}")
    regex_grammar(pattern, vocabulary_tokens=32_000)


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")  # of Python, which reads them as we do
@given(pattern=st.text(st.sampled_from(r"ab01[](){}|?*+^$.-\dws,:P<>=!" + '"'), max_size=12))
def test_any_text_is_refused_in_one_sentence_or_means_what_python_means(pattern: str) -> None:
    try:
        grammar = grammar_of(pattern)
    except GrammarError:
        return
    for text in samples(grammar, 5):
        assert re.fullmatch(pattern.replace("(?<", "(?P<"), text), text


@pytest.mark.parametrize(
    ("pattern", "expected"), [(r"a{2,5}b?", (2, 6)), (r"(a|bcd)*", (0, None)), (r"^$", (0, 0)), (r"(x{2}|y)$", (1, 2))]
)
def test_lengths_are_counted(pattern: str, expected: tuple[int, int | None]) -> None:
    assert lengths(parse(pattern)) == expected


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_patterns_that_can_be_read(name: str) -> None:
    for text in in_json(FORMATS[name]):
        assert re.fullmatch(FORMATS[name], text)
