"""What every contender is asked: prompts of one length, answers of one length, and the numbers both fit into."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

PRECISIONS = {"bfloat16": "none", "int8": "int8", "nf4": "int4"}
"""What the table calls a precision, and what `QUANTIZATION` calls it."""
PAGE_TOKENS = 256
"""Pages of the KV cache on a GPU; each sequence fills its last one only in part."""
_WORD_START = "Ġ"
"""How byte-level vocabularies write the space before a word."""


class ContenderFailedError(Exception):
    """A contender could not be loaded, or did not answer as asked; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt as tokens and as text that a server makes the same tokens of."""

    token_ids: list[int]
    text: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What it took to answer all prompts of one batch."""

    seconds: float
    output_tokens: int
    first_token_s: float | None
    """From the asking to the first token of any of them, where it was looked at."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a contender is loaded with."""

    folder: Path
    device: str
    precision: str
    max_streams: int
    prompt_tokens: int
    output_tokens: int
    num_threads: int

    @property
    def quantization(self) -> str:
        return PRECISIONS[self.precision]

    @property
    def kv_cache_tokens(self) -> int:
        """Room for all streams at once, in whole pages."""
        pages = -(-(self.prompt_tokens + self.output_tokens) // PAGE_TOKENS)
        return self.max_streams * pages * PAGE_TOKENS


class Prompts:
    """Prompts that nobody has seen before, so that no prefix cache knows them."""

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
