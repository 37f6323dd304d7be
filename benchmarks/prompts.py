"""Prompts of one exact length in tokens, each of them new, so that no prefix cache knows it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

_WORD_START = "Ġ"
"""How byte-level vocabularies write the space before a word."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt as tokens and as text that a server makes the same tokens of."""

    token_ids: list[int]
    text: str


class Prompts:
    """Draws words that are one token each from a model's own vocabulary."""

    def __init__(self, folder: Path, num_tokens: int) -> None:
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        vocabulary: dict[str, int] = self._tokenizer.get_vocab()
        self._words = sorted(token for token in vocabulary if _is_word(token))
        self._num_tokens = num_tokens

    def make(self, count: int, seed: str) -> list[Prompt]:
        """Draw `count` prompts of words that are one token each.

        Raises:
            ValueError: this tokenizer makes other tokens of the words than those they were drawn from.
        """
        chance = random.Random(seed)
        return [self._prompt(chance.choices(self._words, k=self._num_tokens)) for _ in range(count)]

    def _prompt(self, words: Sequence[str]) -> Prompt:
        text = "".join(words).replace(_WORD_START, " ")
        token_ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        if len(token_ids) != len(words):
            raise ValueError(
                f"{len(words)} words were {len(token_ids)} tokens, expected one for each: another tokenizer?"
            )
        return Prompt(token_ids, text)


def _is_word(token: str) -> bool:
    letters = token.removeprefix(_WORD_START)
    return letters != token and letters.isascii() and letters.isalpha() and letters.islower()
