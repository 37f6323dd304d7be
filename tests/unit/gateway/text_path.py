"""The way of a text through the gateway, beside a plain model of it: for the property tests and the long fuzz run."""

from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from llm_gateway.generation import FinishReason
from llm_gateway.prompt.tokenizer import PromptTokenizer
from llm_gateway.stream.detokenizer import IncrementalDetokenizer
from llm_gateway.stream.sequence_text import SequenceText


def byte_level_vocabulary(pairs: Sequence[tuple[int, int]]) -> Tokenizer:
    """Build a tokenizer of the 256 bytes and of merges, each of two tokens that are there already.

    The numbers are taken modulo how many there are, so any pairs make a vocabulary; merges cut characters anywhere.
    """
    tokens = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(tokens)}
    merges: list[tuple[str, str]] = []
    for left, right in pairs:
        pair = tokens[left % len(tokens)], tokens[right % len(tokens)]
        merged = "".join(pair)
        if merged not in vocabulary:
            vocabulary[merged] = len(tokens)
            tokens.append(merged)
            merges.append(pair)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    return tokenizer


def groups_of(token_ids: Sequence[int], sizes: Sequence[int]) -> list[list[int]]:
    """Divide tokens into groups of these sizes, again and again; without sizes, into one."""
    groups: list[list[int]] = []
    start = step = 0
    while start < len(token_ids):
        size = max(1, sizes[step % len(sizes)]) if sizes else len(token_ids)
        groups.append(list(token_ids[start : start + size]))
        start, step = start + size, step + 1
    return groups


def streamed(
    tokenizer: Tokenizer, groups: Sequence[Sequence[int]], stops: Sequence[str], *, include: bool = False
) -> tuple[list[str], str | None]:
    """Send tokens through detokenizer and stop strings as the gateway does, until the text has its end."""
    text = SequenceText(IncrementalDetokenizer(tokenizer), stops, include_stop=include)
    pieces: list[str] = []
    for group in groups:
        pieces.append(text.push(group, None))
        if text.finish is not None:
            return pieces, text.stop_string
    pieces.append(text.push([], FinishReason.LENGTH))
    return pieces, text.stop_string


def plainly(
    tokenizer: Tokenizer, token_ids: Sequence[int], stops: Sequence[str], *, include: bool = False
) -> tuple[str, str | None]:
    """The plain model: decode everything, cut at the first stop string, the longest of those that begin there."""
    whole: str = tokenizer.decode(list(token_ids), skip_special_tokens=True)
    found = [(whole.find(stop), -len(stop), stop) for stop in stops if stop and stop in whole]
    if not found:
        return whole, None
    start, _, stop = min(found)
    return whole[: start + len(stop) if include else start], stop


def there_and_back(tokenizer: PromptTokenizer, text: str) -> str:
    """Read a text as a user's, and decode what was read, special tokens included."""
    token_ids = tokenizer.encode_named(text, add_special_tokens=False)
    back: str = tokenizer.underlying.decode(token_ids, skip_special_tokens=False)
    return back
