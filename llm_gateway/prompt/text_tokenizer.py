"""A tokenizer's twin that knows control tokens by their secret names alone, and reads their own spelling as text."""

from typing import Final

from tokenizers import AddedToken, Encoding, Tokenizer

from llm_gateway.prompt.control_names import ControlNames

_NO_CHARACTER: Final = "\U0010ffff"
"""Has no token in any vocabulary, so that a model answers with its bytes, or with what it has for the unknown."""


class TextTokenizer:
    """Shares vocabulary, normalizer and pre-tokenizer with its tokenizer; safe to use from several threads.

    The library's `encode_special_tokens` does the like, but as a switch on the one tokenizer that all threads use, and
    it takes the template's tokens for text too.
    """

    def __init__(self, tokenizer: Tokenizer, names: ControlNames) -> None:
        added = tokenizer.get_added_tokens_decoder()
        twin = Tokenizer(tokenizer.model)
        twin.normalizer = tokenizer.normalizer
        twin.pre_tokenizer = tokenizer.pre_tokenizer
        twin.post_processor = tokenizer.post_processor
        control = set(names.tokens)
        own_ids: dict[str, int] = {}
        tokens: list[AddedToken] = []
        for token_id, token in added.items():
            content = names.name_of(token.content) if token.content in control else token.content
            own_ids[content] = token_id
            tokens.append(_renamed(token, content))
        twin.add_tokens(tokens)
        self._twin = twin
        self._ids = {twin.token_to_id(content): token_id for content, token_id in own_ids.items()}
        self._spellings = self._spelt_out(tokenizer, {own_ids[names.name_of(token)]: token for token in control})

    def encode(self, named: str, *, add_special_tokens: bool = False) -> list[int]:
        """Encode a text in which control tokens stand as their names.

        Raises:
            TypeError: the text holds half a surrogate pair.
        """
        return [token_id for token_id, _, _ in self.spans(named, add_special_tokens=add_special_tokens)]

    def spans(self, named: str, *, add_special_tokens: bool = False) -> list[tuple[int, int, int]]:
        """Encode, and say of each token where in `named` it stands: from which character to before which.

        Raises:
            TypeError: the text holds half a surrogate pair.
        """
        encoding: Encoding = self._twin.encode(named, add_special_tokens=add_special_tokens)
        found: list[tuple[int, int, int]] = []
        tokens = zip(encoding.ids, encoding.offsets, encoding.special_tokens_mask, strict=True)
        for token_id, (start, stop), added_around in tokens:
            if added_around:
                found.append((token_id, start, stop))
            elif token_id in self._ids:
                found.append((self._ids[token_id], start, stop))
            else:
                found += ((piece, start, stop) for piece in self._spellings.get(token_id, (token_id,)))
        return found

    def _spelt_out(self, tokenizer: Tokenizer, control: dict[int, str]) -> dict[int, tuple[int, ...]]:
        """For the models whose own vocabulary holds control tokens as pieces (Unigram): the same text in characters."""
        model = tokenizer.model
        unknown = {token.id for token in model.tokenize(_NO_CHARACTER)}
        inside = {token_id: text for token_id, text in control.items() if self._twin.id_to_token(token_id) == text}
        return {
            token_id: tuple(piece.id for character in text for piece in model.tokenize(character))
            for token_id, text in inside.items()
            if token_id not in unknown
        }


def _renamed(token: AddedToken, content: str) -> AddedToken:
    """A name is found wherever it stands: neither behind a normalizer, which would change it, nor only as a word."""
    is_name = content != token.content
    return AddedToken(
        content,
        single_word=token.single_word and not is_name,
        lstrip=token.lstrip,
        rstrip=token.rstrip,
        normalized=token.normalized and not is_name,
        special=token.special,
    )
