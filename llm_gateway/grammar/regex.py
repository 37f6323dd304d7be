"""Make a grammar of a regular expression: an answer matches the whole of it.

Inside a JSON string, a quotation mark, a backslash or a control character that the pattern allows is written as its
escape.
"""

from llm_gateway.grammar import character_sets
from llm_gateway.grammar.character_sets import Ranges
from llm_gateway.grammar.ebnf import EMPTY, Rules, character_class, choice, literal, repeat, sequence
from llm_gateway.grammar.errors import GrammarError
from llm_gateway.grammar.json_values import runs
from llm_gateway.grammar.regex_parser import parse
from llm_gateway.grammar.regex_tree import Anchor, Choice, Node, OneOf, Repeat, Sequence, lengths, states

MAX_STATES = 20_000
"""Bound of a pattern with its repetitions written out."""

_LONGEST_CLASS_TO_SHARE = 24
_NEEDS_ESCAPE = character_sets.union([(0x01, 0x1F), (0x22, 0x22), (0x5C, 0x5C)])
_JSON_ESCAPES = {'"': '"', "\\": "\\", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}


def regex_grammar(pattern: str) -> str:
    """Return the grammar whose answers are the texts that `pattern` matches from beginning to end.

    Raises:
        GrammarError: the pattern is malformed, too large, or uses what no grammar can express.
    """
    rules = Rules()
    return rules.build(add_regex(rules, pattern, in_json_string=False))


def add_regex(rules: Rules, pattern: str, *, in_json_string: bool) -> str:
    """Return the expression for `pattern`; in a JSON string it is what stands between the quotation marks.

    Raises:
        GrammarError: as in `regex_grammar`.
    """
    tree = parse(pattern)
    if states(tree) > MAX_STATES:
        raise GrammarError(f"the pattern repeats what it repeats more than {MAX_STATES} times; write smaller bounds")
    return _Writer(rules, pattern, in_json_string).write(tree, at_start=True, at_end=True)


class _Writer:
    def __init__(self, rules: Rules, pattern: str, in_json_string: bool) -> None:
        self._rules = rules
        self._pattern = pattern
        self._character = _json_character if in_json_string else character_class
        self._in_json_string = in_json_string

    def write(self, node: Node, *, at_start: bool, at_end: bool) -> str:
        """Write one node; an anchor may stand only where the start or the end of the text is certain."""
        match node:
            case Anchor(is_end):
                if not (at_end if is_end else at_start):
                    self._refuse_anchor(is_end)
                return EMPTY
            case OneOf(ranges):
                return self._one_of(ranges)
            case Choice(alternatives):
                return choice(self.write(node, at_start=at_start, at_end=at_end) for node in alternatives)
            case Repeat(OneOf(ranges), minimum, None) if self._in_json_string and _is_mixed(ranges):
                plain, escaped = _plain_and_escaped(ranges)
                return sequence(repeat(self._one_of(ranges), minimum, minimum), runs(plain, escaped))
            case Repeat(part, minimum, maximum):
                return repeat(self.write(part, at_start=False, at_end=False), minimum, maximum)
            case Sequence(parts):
                return self._sequence(parts, at_start, at_end)

    def _sequence(self, parts: tuple[Node, ...], at_start: bool, at_end: bool) -> str:
        takes = [lengths(part)[1] != 0 for part in parts]
        return sequence(
            *(
                self.write(
                    part,
                    at_start=at_start and not any(takes[:index]),
                    at_end=at_end and not any(takes[index + 1 :]),
                )
                for index, part in enumerate(parts)
            )
        )

    def _one_of(self, ranges: Ranges) -> str:
        if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
            text = chr(ranges[0][0])
            return literal(_json_text(text) if self._in_json_string else text)
        expression = self._character(ranges)
        return self._rules.add("characters", expression) if len(expression) > _LONGEST_CLASS_TO_SHARE else expression

    def _refuse_anchor(self, is_end: bool) -> None:
        name, place = ("$", "last") if is_end else ("^", "first")
        raise GrammarError(f"the pattern {self._pattern!r} has a {name} that is not its {place} character; remove it")


def _is_mixed(ranges: Ranges) -> bool:
    """Say whether some of the characters are themselves in a JSON string, and others are escapes."""
    escaped = character_sets.intersection(ranges, _NEEDS_ESCAPE)
    return bool(escaped) and escaped != ranges


def _json_character(ranges: Ranges) -> str:
    """Write one character of a JSON string, as itself or as its escape."""
    if not character_sets.intersection(ranges, _NEEDS_ESCAPE):
        return character_class(ranges)
    return choice(part for part in _plain_and_escaped(ranges) if part)


def _plain_and_escaped(ranges: Ranges) -> tuple[str, str]:
    """Write the characters that are themselves, if any, and the escapes of the others, of which there are some."""
    plain = character_sets.without(ranges, _NEEDS_ESCAPE)
    escaped = character_sets.intersection(ranges, _NEEDS_ESCAPE)
    characters = [chr(code) for low, high in escaped for code in range(low, high + 1)]
    short = "".join(_JSON_ESCAPES[character] for character in characters if character in _JSON_ESCAPES)
    alternatives = [sequence(literal("\\"), character_class(character_sets.of(short)))] if short else []
    alternatives += [literal(_json_text(character)) for character in characters if character not in _JSON_ESCAPES]
    return character_class(plain) if plain else "", choice(alternatives)


def _json_text(character: str) -> str:
    if character in _JSON_ESCAPES:
        return f"\\{_JSON_ESCAPES[character]}"
    return character if ord(character) >= 0x20 else f"\\u{ord(character):04x}"
