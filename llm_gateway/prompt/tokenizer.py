"""Turn text into token ids with the model's own tokenizer, and know which ids end an answer.

Everything here is synchronous and computes; whoever serves requests calls it off the event loop.
"""

import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Encoding, Tokenizer

from llm_gateway.heap import return_free_memory
from llm_gateway.prompt.compact_tokenizer import read_tokenizer
from llm_gateway.prompt.control_names import ControlNames
from llm_gateway.prompt.model_files import ModelFileError, read_json_object, token_text
from llm_gateway.prompt.text_tokenizer import TextTokenizer


class PromptTokenizerError(Exception):
    """A tokenizer cannot be loaded, or a text cannot be encoded; the message is one sentence."""


class PromptTokenizer:
    """The tokenizer of one model; safe to use from several threads."""

    def __init__(self, tokenizer: Tokenizer, eos_token_ids: frozenset[int], *, raw_control_tokens: bool = True) -> None:
        # tokenizer.json may carry the truncation and padding of somebody's training run.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.underlying = tokenizer
        self.eos_token_ids = eos_token_ids
        self.vocabulary_size: int = tokenizer.get_vocab_size(with_added_tokens=True)
        self.raw_control_tokens = raw_control_tokens
        """Whether the control tokens that a raw prompt spells out are read as such."""
        self._control_tokens = _control_tokens(tokenizer, eos_token_ids)
        self.names = ControlNames(self._control_tokens.values())
        self._text_tokenizer: TextTokenizer | None = None
        self._making_text_tokenizer = threading.Lock()

    @classmethod
    def load(cls, folder: Path, *, raw_control_tokens: bool = True) -> "PromptTokenizer":
        """Read tokenizer.json and, for the ends of an answer, the configurations beside it.

        Raises:
            PromptTokenizerError: a file is missing or cannot be used.
        """
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise PromptTokenizerError(
                f"{folder} has no tokenizer.json, which this gateway needs; use a model that has one"
            )
        try:
            tokenizer = read_tokenizer(path)
        except Exception as error:  # the library raises nothing more precise
            raise PromptTokenizerError(f"{path} cannot be used ({error}); fetch the model again") from error
        try:
            loaded = cls(tokenizer, _eos_token_ids(folder, tokenizer), raw_control_tokens=raw_control_tokens)
        except ModelFileError as error:
            raise PromptTokenizerError(str(error)) from error
        # Parsing and counting a vocabulary of 150,000 tokens leaves 70 MB behind, more than it holds itself.
        return_free_memory()
        return loaded

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Encode, and read every control token that the text spells out as that token.

        `add_special_tokens` is for raw text only, since a chat template writes its own.

        Raises:
            PromptTokenizerError: the text holds half a surrogate pair, which is no character.
        """
        ids: list[int] = self._encoding(text, add_special_tokens).ids
        return ids

    def encode_named(self, named: str, *, add_special_tokens: bool) -> list[int]:
        """Encode a text in which control tokens stand as their `names`; what else looks like one is read as text.

        Raises:
            PromptTokenizerError: as with `encode`.
        """
        encoding = self._encoding(self.names.restored(named), add_special_tokens)
        if not self._is_innocent(named, encoding):
            return self._as_text().encode(named, add_special_tokens=add_special_tokens)
        ids: list[int] = encoding.ids
        return ids

    def spans_named(self, named: str, *, add_special_tokens: bool) -> list[tuple[int, int, int]]:
        """Encode likewise, and say of each token where in the restored text it stands, in characters.

        Raises:
            PromptTokenizerError: as with `encode`.
        """
        encoding = self._encoding(self.names.restored(named), add_special_tokens)
        if self._is_innocent(named, encoding):
            return [(token_id, *span) for token_id, span in zip(encoding.ids, encoding.offsets, strict=True)]
        place = self.names.places(named)
        found = self._as_text().spans(named, add_special_tokens=add_special_tokens)
        return [(token_id, place(start), place(stop)) for token_id, start, stop in found]

    def raw(self, text: str) -> str:
        """Name what a raw prompt spells out, unless the setting says that it is text."""
        return self.names.named(text) if self.raw_control_tokens else text

    def ids_of(self, tokens: Iterable[str]) -> frozenset[int]:
        """Look up tokens by their text; unknown ones are left out."""
        found = (self.underlying.token_to_id(token) for token in tokens)
        return frozenset(token_id for token_id in found if token_id is not None)

    def _encoding(self, text: str, add_special_tokens: bool) -> Encoding:
        try:
            return self.underlying.encode(text, add_special_tokens=add_special_tokens)
        except TypeError as error:
            raise PromptTokenizerError(
                r"the text holds half a surrogate pair (\ud800 to \udfff), no character"
            ) from error

    def _is_innocent(self, named: str, encoding: Encoding) -> bool:
        """Whether the plain encoding has no control token but those that have names, and no text looks like one.

        Some tokenizers do not find all of their own tokens in a text; those that they find are compared, not counted.
        """
        written = self.names.written(named)
        found = self._control_tokens_in(encoding)
        if found != written and not Counter(found) <= Counter(written):
            return False
        return not self.names.spelled(named) and self.names.spelled(self.names.restored(named)) == written

    def _control_tokens_in(self, encoding: Encoding) -> list[str]:
        """List the control tokens in order, without those that are only added around the text."""
        known, ids = self._control_tokens, encoding.ids
        if known.keys().isdisjoint(ids):
            return []
        around = encoding.special_tokens_mask
        return [known[token_id] for token_id, added in zip(ids, around, strict=True) if token_id in known and not added]

    def _as_text(self) -> TextTokenizer:
        """Make the second tokenizer for the first text that needs it; few ever do."""
        with self._making_text_tokenizer:
            if self._text_tokenizer is None:
                self._text_tokenizer = TextTokenizer(self.underlying, self.names)
            return self._text_tokenizer


def _control_tokens(tokenizer: Tokenizer, eos_token_ids: frozenset[int]) -> dict[int, str]:
    """Collect what the tokenizer itself calls special, and what ends an answer."""
    added = tokenizer.get_added_tokens_decoder().items()
    return {
        token_id: token.content
        for token_id, token in added
        if token.content and (token.special or token_id in eos_token_ids)
    }


def _eos_token_ids(folder: Path, tokenizer: Tokenizer) -> frozenset[int]:
    """Collect what ends an answer.

    generation_config.json says, or else config.json; the tokenizer's own `eos_token` counts too, because chat models
    that were tuned from another often name the end of a turn only there.
    """
    configured = _ids(read_json_object(folder / "generation_config.json").get("eos_token_id")) or _ids(
        read_json_object(folder / "config.json").get("eos_token_id")
    )
    text = token_text(read_json_object(folder / "tokenizer_config.json").get("eos_token"))
    own = tokenizer.token_to_id(text) if text is not None else None
    return configured if own is None else configured | {own}


def _ids(entry: object) -> frozenset[int]:
    entries = entry if isinstance(entry, list) else [entry]
    return frozenset(token_id for token_id in entries if isinstance(token_id, int))
