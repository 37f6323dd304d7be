"""Turn the tokens of one sequence into text as they come, never showing half a character.

What has been given out always adds up to what the tokenizer's own `decode` says of the whole sequence. The library's
`DecodeStream` is faster but raises on broken runs of byte tokens, or disagrees about them, so it is not used.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from tokenizers import Tokenizer

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_LONGEST_WINDOW_TOKENS = 32
_TOKENS_THAT_HOLD_A_CHARACTER = 8
"""A character has at most four bytes, and a token that is seen has at least one."""

_BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")


class IncrementalDetokenizer:
    """The text of one sequence; use a new one for each.

    How a token reads can depend on the one before it (a leading space, the first half of an emoji), so every group of
    tokens is decoded together with the group before it, and the text of that earlier group is cut off.
    """

    def __init__(self, tokenizer: Tokenizer, shown: frozenset[int] = frozenset()) -> None:
        """`shown` are special tokens that have a text here all the same, because a parser looks for it."""
        self._tokenizer = tokenizer
        self._shown = shown
        self._facts = _facts(tokenizer)
        self._window: list[int] = []
        """The group that was given out last, then the tokens that came after it."""
        self._num_given_out_tokens = 0
        self._num_given_out_characters = 0
        """Characters of the decoded window that were given out already."""

    def push(self, token_ids: Sequence[int]) -> str:
        """Take the next tokens and return the text that is settled by now; special tokens have none."""
        if self._shown and not self._shown.isdisjoint(token_ids):
            return "".join(self._show(token_id) for token_id in token_ids)
        visible = [token_id for token_id in token_ids if token_id not in self._facts.special_ids]
        if not visible:
            return ""
        self._window += visible
        if self._facts.byte_ids:
            # A run of byte tokens reads as one: until it has ended, its last bytes can still spoil the first.
            if visible[-1] in self._facts.byte_ids:
                return ""
            return self._give_out(self._decode(self._window))
        text = self._decode(self._window)
        if text.endswith(_REPLACEMENT):
            # The last character may be half; those before it are settled.
            return self._give_out_all_but_the_last(text)
        return self._give_out(text)

    def is_special(self, token_id: int) -> bool:
        """Whether a token is one that has no text."""
        return token_id in self._facts.special_ids

    def _show(self, token_id: int) -> str:
        """Take one token; a shown one ends what came before it, and the text after it starts anew."""
        if token_id not in self._shown:
            return self.push([token_id])
        before = self.flush()
        self._window, self._num_given_out_tokens, self._num_given_out_characters = [], 0, 0
        text: str = self._tokenizer.id_to_token(token_id)
        return before + text

    def flush(self) -> str:
        """Return what is left at the end of the sequence; bytes that never became a character are shown as U+FFFD."""
        return self._give_out(self._decode(self._window)) if self._window else ""

    def _give_out(self, text: str) -> str:
        piece = text[self._num_given_out_characters :]
        if piece:
            self._window = self._window[self._num_given_out_tokens :]
            self._num_given_out_tokens = len(self._window)
            self._num_given_out_characters = len(self._decode(self._window))
        return piece

    def _give_out_all_but_the_last(self, text: str) -> str:
        piece = text[self._num_given_out_characters : -1]
        self._num_given_out_characters += len(piece)
        if len(self._window) > _LONGEST_WINDOW_TOKENS:
            # Noise can go on without ever making a character, and decoding all of it each time would take for ever.
            self._window = self._window[-_TOKENS_THAT_HOLD_A_CHARACTER:]
            self._num_given_out_tokens = 0
            self._num_given_out_characters = len(self._decode(self._window)) - 1
        return piece

    def _decode(self, token_ids: list[int]) -> str:
        text: str = self._tokenizer.decode(token_ids, skip_special_tokens=True)
        return text


@dataclass(frozen=True, slots=True)
class _TokenFacts:
    special_ids: frozenset[int]
    byte_ids: frozenset[int]
    """Tokens such as `<0x0A>` that stand for one byte; empty where the decoder does not read them so."""


@lru_cache(maxsize=1)  # it keeps its tokenizer alive, which can be 34 MiB, and one model is served at a time
def _facts(tokenizer: Tokenizer) -> _TokenFacts:
    added = tokenizer.get_added_tokens_decoder()
    return _TokenFacts(
        special_ids=frozenset(token_id for token_id, token in added.items() if token.special),
        byte_ids=_byte_ids(tokenizer),
    )


def _byte_ids(tokenizer: Tokenizer) -> frozenset[int]:
    example = tokenizer.token_to_id("<0x41>")
    if example is None or tokenizer.decode([example]) != "A":
        return frozenset()
    return frozenset(token_id for token, token_id in tokenizer.get_vocab().items() if _BYTE_TOKEN.fullmatch(token))
