"""Secret names for a model's control tokens, so that what a template writes is told from what a user typed.

`<|im_end|>` in a user's message is ten characters of text; the same characters in the chat template are one token that
ends a turn. In the rendered prompt both look alike. So the template is made to write a name that nobody can guess in
the place of the token, and whatever else then looks like the token is text.
"""

import re
import secrets
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable
from itertools import groupby
from typing import Final

_NUM_SECRET_DIGITS: Final = 30


class ControlNames:
    """The control tokens of one tokenizer and a name for each; digits, so that no filter for case changes them."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self.tokens = tuple(sorted({token for token in tokens if token}, key=lambda token: (-len(token), token)))
        secret = random_digits()
        self._names = {token: f"<{secret}{index:06}>" for index, token in enumerate(self.tokens)}
        self._any_token = any_of(self.tokens)
        self._any_name = re.compile(f"<{secret}([0-9]{{6}})>")

    def name_of(self, token: str) -> str:
        """Look up one token's name; a KeyError says that it is no control token."""
        return self._names[token]

    def named(self, text: str, only: Collection[str] | None = None) -> str:
        """Write a name in the place of every token that the text spells out, or of those in `only`."""
        tokens = self._any_token if only is None else any_of(only)
        return tokens.sub(lambda found: self._names[found[0]], text)

    def restored(self, text: str) -> str:
        """Write the tokens again where their names are."""
        return self._any_name.sub(self._token, text)

    def places(self, text: str) -> Callable[[int], int]:
        """Return what turns a place at the edge of a name, or outside of names, into the place in the restored text."""
        ends: list[int] = []
        shifts = [0]
        for found in self._any_name.finditer(text):
            ends.append(found.end())
            shifts.append(shifts[-1] + len(found[0]) - len(self._token(found)))
        return lambda place: place - shifts[bisect_right(ends, place)]

    def written(self, text: str) -> list[str]:
        """List the tokens whose names are in the text, in order."""
        return [self._token(found) for found in self._any_name.finditer(text)]

    def spelled(self, text: str) -> list[str]:
        """List the tokens that the text spells out, in order."""
        return self._any_token.findall(text)

    def _token(self, found: re.Match[str]) -> str:
        return self.tokens[int(found[1])]


def any_of(texts: Collection[str]) -> re.Pattern[str]:
    """Match any of the texts, the longest where several begin; of none, match nothing."""
    return re.compile(_alternatives(set(texts)) if texts else r"(?!)")


def _alternatives(texts: Collection[str]) -> str:
    """Branch where texts part: of a plain list of 6,000 tokens all would be tried at each `<` of a long prompt."""
    branches: list[str] = []
    for _, same_start in groupby(sorted(texts), key=lambda text: text[0]):
        group = list(same_start)
        shared = _shared_start(group[0], group[-1])  # of all, since they are sorted
        rests = [text.removeprefix(shared) for text in group if text != shared]
        further = f"(?:{_alternatives(rests)})" if rests else ""
        branches.append(re.escape(shared) + further + "?" * (0 < len(rests) < len(group)))
    return "|".join(branches)


def _shared_start(first: str, last: str) -> str:
    differs = (index for index, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    return first[: next(differs, min(len(first), len(last)))]


def random_digits() -> str:
    """Digits that nobody can guess: 30 of them are 99 bits."""
    return "".join(secrets.choice("0123456789") for _ in range(_NUM_SECRET_DIGITS))
