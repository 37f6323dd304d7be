"""Draw random sentences from a grammar's text, with a reader of its own: what an engine could be made to say.

It reads the part of XGrammar's EBNF that the product writes. Once a sentence is long, it takes the shortest way out.
"""

import math
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|[A-Za-z_]\w*|\{\d+(?:,\d*)?\}|\(=|[()|?*+]')
_ESCAPE = re.compile(r"\\(?:u([0-9a-f]{4})|U([0-9a-f]{8})|(.))", re.DOTALL)
_NAMED = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class OneOf:
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Name:
    name: str


@dataclass(frozen=True)
class Repeat:
    part: "Node"
    minimum: int
    maximum: float


@dataclass(frozen=True)
class Choice:
    alternatives: "tuple[tuple[Node, ...], ...]"


Node: TypeAlias = Text | OneOf | Name | Repeat | Choice


class Grammar:
    """One grammar, read; `sample` draws from it."""

    def __init__(self, text: str) -> None:
        self.rules: dict[str, Choice] = {}
        for line in text.splitlines():
            name, expression = line.split(" ::= ", 1)
            assert name not in self.rules, f"{name} is defined twice"
            assert not (rest := _TOKEN.sub("", expression).strip()), f"unreadable: {rest}"
            self.rules[name] = _Reader(_TOKEN.findall(expression)).alternatives()
        self._cost: dict[str, float] = dict.fromkeys(self.rules, math.inf)
        while (costs := {name: self._choice_cost(rule) for name, rule in self.rules.items()}) != self._cost:
            self._cost = costs

    def sample(self, rng: random.Random, length: int = 60) -> str:
        """Draw a sentence of very roughly up to `length` terminals."""
        drawn: list[str] = []
        waiting: list[Node] = [Name("root")]
        while waiting:
            self._draw(waiting.pop(), drawn, waiting, rng, in_a_hurry=len(drawn) > length)
        return "".join(drawn)

    def _draw(self, node: Node, drawn: list[str], waiting: list[Node], rng: random.Random, *, in_a_hurry: bool) -> None:
        match node:
            case Text(text):
                drawn.append(text)
            case OneOf(ranges):
                drawn.append(chr(rng.randint(*rng.choice(ranges))))
            case Name(name):
                waiting.append(self.rules[name])
            case Repeat(part, minimum, maximum):
                most = max(minimum, min(maximum, minimum + rng.choice((0, 1, 1, 2, 6, 20))))
                waiting += [part] * (minimum if in_a_hurry else rng.randint(minimum, int(most)))
            case Choice(alternatives):
                chosen = min(alternatives, key=self._cost_of) if in_a_hurry else rng.choice(alternatives)
                waiting += reversed(chosen)

    def _cost_of(self, parts: tuple[Node, ...]) -> float:
        return sum(map(self._node_cost, parts))

    def _choice_cost(self, rule: Choice) -> float:
        return min(map(self._cost_of, rule.alternatives))

    def _node_cost(self, node: Node) -> float:
        match node:
            case Name(name):
                return 1 + self._cost[name]
            case Repeat(part, minimum, _):
                return minimum * self._node_cost(part) if minimum else 0
            case Choice():
                return self._choice_cost(node)
        return 1


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens[::-1]

    def alternatives(self) -> Choice:
        found: list[tuple[Node, ...]] = [tuple(self._parts())]
        while self._tokens and self._tokens[-1] == "|":
            self._tokens.pop()
            found.append(tuple(self._parts()))
        return Choice(tuple(found))

    def _parts(self) -> Iterator[Node]:
        while self._tokens and self._tokens[-1] not in ("|", ")"):
            if self._tokens[-1] == "(=":
                self._skip_lookahead()
                continue
            node = self._atom(self._tokens.pop())
            if self._tokens and self._tokens[-1][0] in "?*+{":
                node = Repeat(node, *_bounds(self._tokens.pop()))
            yield node

    def _skip_lookahead(self) -> None:
        """An assertion about what follows takes nothing away from the sentences, or the grammar is wrong."""
        self._tokens.pop()
        self.alternatives()
        assert self._tokens.pop() == ")"

    def _atom(self, token: str) -> Node:
        if token == "(":
            inner = self.alternatives()
            assert self._tokens.pop() == ")"
            return inner
        if token.startswith('"'):
            return Text("".join(character for character, _ in _characters(token[1:-1])))
        if token.startswith("["):
            return OneOf(tuple(_ranges(token[1:-1])))
        return Name(token)


def _bounds(token: str) -> tuple[int, float]:
    if token in "?*+":
        return int(token == "+"), 1 if token == "?" else math.inf
    low, comma, high = token[1:-1].partition(",")
    return int(low), int(high) if high else math.inf if comma else int(low)


def _characters(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each character, and whether it was escaped."""
    at = 0
    while at < len(text):
        found = _ESCAPE.match(text, at)
        if found is None:
            yield text[at], False
            at += 1
            continue
        short, long, named = found.groups()
        yield (chr(int(short or long, 16)) if named is None else _NAMED.get(named, named)), True
        at = found.end()


def _ranges(text: str) -> Iterator[tuple[int, int]]:
    characters = list(_characters(text))
    while characters:
        low, _ = characters.pop(0)
        if len(characters) > 1 and characters[0] == ("-", False):
            high, _ = characters[1]
            del characters[:2]
            yield ord(low), ord(high)
        else:
            yield ord(low), ord(low)
