"""The terminals of JSON: white space, strings, numbers, and values of any kind.

White space is bounded, and there is none outside the outermost value: a weak model would fill its answer with blanks.
"""

from llm_gateway.grammar import character_sets
from llm_gateway.grammar.counting import Counted, count
from llm_gateway.grammar.ebnf import Rules, character_class, choice, literal, optional, repeat, sequence

MAX_DIGITS = 15
"""Digits of an integer, and of a fraction: as many as a double holds exactly."""
MAX_INTEGER = 10**MAX_DIGITS - 1

DIGIT = "[0-9]"
TRUE, FALSE, NULL = literal("true"), literal("false"), literal("null")
QUOTE = literal('"')
PLAIN_CHARACTERS = character_sets.without(
    character_sets.ALL, character_sets.union([(0x00, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0x7F, 0x7F)])
)
"""What a JSON string may contain as it is."""

_MAX_INDENT = 16


def white_space(rules: Rules) -> str:
    """Where JSON allows it: nothing, one blank, or a new line with its indent."""
    return rules.add(
        "white_space", choice(['""', literal(" "), sequence(literal("\n"), repeat("[ ]", 0, _MAX_INDENT))])
    )


def comma(rules: Rules) -> str:
    return rules.add("comma", sequence(white_space(rules), literal(","), white_space(rules)))


def colon(rules: Rules) -> str:
    return rules.add("colon", sequence(literal(":"), white_space(rules)))


def enclosed(rules: Rules, opening: str, content: str, closing: str) -> str:
    """Write an object or a list around its members."""
    return sequence(literal(opening), white_space(rules), content, white_space(rules), literal(closing))


def string(rules: Rules, minimum: int = 0, maximum: int | None = None) -> str:
    """A string of `minimum` to `maximum` characters, each of them itself or an escape; never half a surrogate pair.

    Raises:
        GrammarError: these lengths cannot be counted at a bearable speed.
    """
    content = count(rules, Counted(PLAIN_CHARACTERS, _escape(rules)), minimum, maximum, QUOTE)
    return rules.add("string", sequence(QUOTE, content))


def integer(rules: Rules) -> str:
    return rules.add("integer", sequence(optional(literal("-")), _natural()))


def number(rules: Rules) -> str:
    fraction = optional(sequence(literal("."), repeat(DIGIT, 1, MAX_DIGITS)))
    exponent = optional(sequence("[eE]", optional("[+\\-]"), repeat(DIGIT, 1, 2)))
    return rules.add("number", sequence(optional(literal("-")), _natural(), fraction, exponent))


def any_value(rules: Rules) -> str:
    """A value of any kind, nested as deep as the answer's length allows."""
    return rules.recursive("any value", "any_value", lambda: _any_value(rules))


def any_object(rules: Rules) -> str:
    member = rules.add("any_member", sequence(string(rules), colon(rules), any_value(rules)))
    return rules.add("any_object", enclosed(rules, "{", members(rules, member), "}"))


def any_list(rules: Rules) -> str:
    return rules.add("any_list", enclosed(rules, "[", members(rules, any_value(rules)), "]"))


def members(rules: Rules, member: str, minimum: int = 0, maximum: int | None = None) -> str:
    """Write `minimum` to `maximum` members with commas between them."""
    if maximum == 0:
        return '""'
    further = repeat(sequence(comma(rules), member), max(0, minimum - 1), None if maximum is None else maximum - 1)
    some = sequence(member, further)
    return some if minimum else optional(some)


def _any_value(rules: Rules) -> str:
    return choice([any_object(rules), any_list(rules), string(rules), number(rules), TRUE, FALSE, NULL])


def _natural() -> str:
    return choice([literal("0"), sequence("[1-9]", repeat(DIGIT, 0, MAX_DIGITS - 1))])


def _escape(rules: Rules) -> str:
    hexadecimal = "[0-9a-fA-F]"
    outside_surrogates = choice(
        [
            sequence("[0-9a-cA-CefEF]", repeat(hexadecimal, 3, 3)),
            sequence("[dD]", "[0-7]", repeat(hexadecimal, 2, 2)),
        ]
    )
    escaped = choice([character_class(character_sets.of('"\\/bfnrt')), sequence(literal("u"), outside_surrogates)])
    return rules.add("escape", sequence(literal("\\"), escaped))
