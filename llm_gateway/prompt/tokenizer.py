"""Turn text into token ids with the model's own tokenizer, and know which ids end an answer.

Everything here is synchronous and computes; whoever serves requests calls it off the event loop.
"""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer

from llm_gateway.heap import return_free_memory
from llm_gateway.prompt.compact_tokenizer import read_tokenizer
from llm_gateway.prompt.model_files import ModelFileError, read_json_object, token_text


class PromptTokenizerError(Exception):
    """A tokenizer cannot be loaded, or a text cannot be encoded; the message is one sentence."""


class PromptTokenizer:
    """The tokenizer of one model; safe to use from several threads."""

    def __init__(self, tokenizer: Tokenizer, eos_token_ids: frozenset[int]) -> None:
        # tokenizer.json may carry the truncation and padding of somebody's training run.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.underlying = tokenizer
        self.eos_token_ids = eos_token_ids
        self.vocabulary_size: int = tokenizer.get_vocab_size(with_added_tokens=True)

    @classmethod
    def load(cls, folder: Path) -> "PromptTokenizer":
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
            loaded = cls(tokenizer, _eos_token_ids(folder, tokenizer))
        except ModelFileError as error:
            raise PromptTokenizerError(str(error)) from error
        # Parsing and counting a vocabulary of 150,000 tokens leaves 70 MB behind, more than it holds itself.
        return_free_memory()
        return loaded

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Encode; `add_special_tokens` is for raw text only, since a chat template writes its own.

        Raises:
            PromptTokenizerError: the text holds half a surrogate pair, which is no character.
        """
        try:
            ids: list[int] = self.underlying.encode(text, add_special_tokens=add_special_tokens).ids
        except TypeError as error:
            raise PromptTokenizerError(
                r"the text holds half a surrogate pair (\ud800 to \udfff), no character"
            ) from error
        return ids

    def ids_of(self, tokens: Iterable[str]) -> frozenset[int]:
        """Look up tokens by their text; unknown ones are left out."""
        found = (self.underlying.token_to_id(token) for token in tokens)
        return frozenset(token_id for token_id in found if token_id is not None)

    def count(self, text: str) -> int:
        """Count the tokens of a text, without special ones."""
        return len(self.encode(text, add_special_tokens=False))


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
