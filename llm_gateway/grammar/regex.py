"""Make a grammar of a regular expression: an answer matches the whole of it.

Inside a JSON string, a quotation mark, a backslash or a control character that the pattern allows is written as its
escape.
"""

from llm_gateway.grammar import character_sets
from llm_gateway.grammar.character_sets import Ranges
from llm_gateway.grammar.counting import REACH, WIDE, Counted, count, masks, share_of_tokens
from llm_gateway.grammar.ebnf import EMPTY, Rules, character_class, choice, literal, optional, repeat, sequence
from llm_gateway.grammar.errors import GrammarError
from llm_gateway.grammar.regex_parser import parse
from llm_gateway.grammar.regex_tree import (
    Anchor,
    Choice,
    Node,
    OneOf,
    Repeat,
    Sequence,
    in_full,
    lengths,
    states,
)

MAX_STATES = 20_000
"""Bound of a pattern with its repetitions written out."""
MAX_WRITTEN = 20_000
"""Bound of the parts that are written; what a repetition writes in several ways counts for each of them."""

_NEEDS_ESCAPE = character_sets.union([(0x01, 0x1F), (0x22, 0x22), (0x5C, 0x5C)])
_JSON_ESCAPES = {'"': '"', "\\": "\\", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}


def regex_grammar(pattern: str, *, vocabulary_tokens: int) -> str:
    """Return the grammar whose answers are the texts that `pattern` matches from beginning to end.

    `vocabulary_tokens` is the size of the model's vocabulary.

    Raises:
        GrammarError: the pattern is malformed, too large, uses what no grammar can express, or counts characters in so
            many ways that the engine would stall.
    """
    rules = Rules(vocabulary_tokens=vocabulary_tokens)
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
        self._in_json_string = in_json_string
        self._copies = 1
        """How often the engine writes out what is being written."""
        self._num_written = 0
        self._lengths: dict[int, tuple[Node, tuple[int, int | None]]] = {}
        """By identity, together with the node, which so keeps its identity to itself."""

    def write(self, node: Node, *, at_start: bool, at_end: bool) -> str:
        """Write one node; an anchor may stand only where the start or the end of the text is certain."""
        self._num_written += 1
        if self._num_written > MAX_WRITTEN:
            raise GrammarError(
                f"the pattern has more than {MAX_WRITTEN} parts with its repetitions in repetitions written out; "
                "nest fewer of them"
            )
        match node:
            case Anchor(is_end):
                if not (at_end if is_end else at_start):
                    self._refuse_anchor(is_end)
                return EMPTY
            case OneOf(ranges):
                return self._one_by_one(ranges, 1, 1)
            case Choice(alternatives):
                return choice(self.write(node, at_start=at_start, at_end=at_end) for node in alternatives)
            case Repeat(OneOf(ranges), minimum, maximum):
                return self._characters(ranges, minimum, maximum)
            case Repeat(part, minimum, None):
                return self._again_and_again(part, minimum)
            case Repeat(part, minimum, maximum):
                return repeat(self._copied(part, maximum or minimum), minimum, maximum)
            case Sequence(parts):
                return self._sequence(parts, at_start, at_end)

    def _sequence(self, parts: tuple[Node, ...], at_start: bool, at_end: bool) -> str:
        takes = [self._lengths_of(part)[1] != 0 for part in parts]
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

    def _again_and_again(self, part: Node, minimum: int) -> str:
        """Write a part any number of times, at least `minimum` times.

        As a rule that ends with itself and has every way of writing the part in full: where a rule ends in the middle
        of a token, such as one for `( ?)` in `(\\w+ ?)+`, XGrammar looks at the token again at each step. What stays
        expensive is a text that the pattern reads in many ways, as this one does: 5 ms a step in the beginning, and 40
        after some hundred characters. No other writing was found for those.
        """
        if self._lengths_of(part)[0] == 0:
            return repeat(self._copied(part, minimum + 1), minimum, None)
        ways = [self._copied(way, 2) for way in in_full(part)]
        key = ("again", *ways)

        def write() -> str:
            name = self._rules.recursive(key, "again", write)
            return choice([*ways, *(sequence(way, name) for way in ways)])

        again = self._rules.recursive(key, "again", write)
        if minimum == 0:
            return optional(again)
        return again if minimum == 1 else sequence(repeat(choice(ways), minimum - 1, minimum - 1), again)

    def _lengths_of(self, node: Node) -> tuple[int, int | None]:
        if id(node) not in self._lengths:
            self._lengths[id(node)] = node, lengths(node)
        return self._lengths[id(node)][1]

    def _copied(self, part: Node, times: int) -> str:
        before, self._copies = self._copies, self._copies * max(1, times)
        written = self.write(part, at_start=False, at_end=False)
        self._copies = before
        return written

    def _characters(self, ranges: Ranges, minimum: int, maximum: int | None) -> str:
        kind = self._kind(ranges)
        if kind is None or (kind.escaped is None and _few(minimum, maximum)):
            return repeat(self._one_by_one(ranges, minimum, maximum), minimum, maximum)
        return count(self._rules, kind, minimum, maximum)

    def _one_by_one(self, ranges: Ranges, minimum: int, maximum: int | None) -> str:
        """Write one character, of which there will be so many in a row."""
        if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
            text = chr(ranges[0][0])
            return literal(_json_text(text) if self._in_json_string else text)
        self._rules.spend(masks(ranges, minimum, maximum) * self._copies)
        kind = self._kind(ranges)
        if kind is None:
            return _escapes(ranges)
        if kind.escaped is None or share_of_tokens(kind.plain) >= WIDE:
            # Without its few escapes: as a choice between the two it would be a rule that ends within most tokens.
            return character_class(kind.plain)
        return choice([character_class(kind.plain), kind.escaped])

    def _kind(self, ranges: Ranges) -> Counted | None:
        """Take apart what is written as it is and what as an escape; None where all of it is the latter."""
        escaped = character_sets.intersection(ranges, _NEEDS_ESCAPE) if self._in_json_string else ()
        plain = character_sets.without(ranges, escaped)
        if not plain:
            return None
        return Counted(plain, _escapes(escaped) if escaped else None)

    def _refuse_anchor(self, is_end: bool) -> None:
        name, place = ("$", "last") if is_end else ("^", "first")
        raise GrammarError(f"the pattern {self._pattern!r} has a {name} that is not its {place} character; remove it")


def _few(minimum: int, maximum: int | None) -> bool:
    """Say whether it costs little to write the characters out."""
    return minimum <= 1 if maximum is None else maximum <= REACH


def _escapes(ranges: Ranges) -> str:
    """Write the escapes of characters that a JSON string needs them for."""
    characters = [chr(code) for low, high in ranges for code in range(low, high + 1)]
    short = "".join(_JSON_ESCAPES[character] for character in characters if character in _JSON_ESCAPES)
    alternatives = [sequence(literal("\\"), character_class(character_sets.of(short)))] if short else []
    alternatives += [literal(_json_text(character)) for character in characters if character not in _JSON_ESCAPES]
    return choice(alternatives)


def _json_text(character: str) -> str:
    if character in _JSON_ESCAPES:
        return f"\\{_JSON_ESCAPES[character]}"
    return character if ord(character) >= 0x20 else f"\\u{ord(character):04x}"
