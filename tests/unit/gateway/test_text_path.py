"""Detokenizer and stop strings together, on vocabularies of any kind, against a plain model that sees everything."""

import random

from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from llm_gateway.prompt.tokenizer import PromptTokenizer
from tests.unit.gateway import small_tokenizers
from tests.unit.gateway.text_path import byte_level_vocabulary, groups_of, plainly, streamed, there_and_back

KINDS: dict[str, Tokenizer] = {name: build() for name, build in small_tokenizers.ALL.items()}
RANDOM_TEXTS = 2000
"""`make fuzz` takes a million."""

numbers = st.integers(0, 400)
vocabularies = st.lists(st.tuples(numbers, numbers), max_size=60).map(byte_level_vocabulary)
stop_strings = st.lists(st.text(st.sampled_from("ab é\n\ufffd日🎉"), max_size=4), max_size=4)
sizes = st.lists(st.integers(1, 5), max_size=6)


@given(tokenizer=vocabularies, data=st.data(), stops=stop_strings, sizes=sizes, include=st.booleans())
def test_any_tokens_of_any_vocabulary_are_cut_where_the_whole_text_would_be(
    tokenizer: Tokenizer, data: st.DataObject, stops: list[str], sizes: list[int], include: bool
) -> None:
    token = st.integers(0, tokenizer.get_vocab_size() - 1)
    token_ids = data.draw(st.lists(token, max_size=40))
    pieces, stop = streamed(tokenizer, groups_of(token_ids, sizes), stops, include=include)
    assert ("".join(pieces), stop) == plainly(tokenizer, token_ids, stops, include=include)


@given(
    tokenizer=vocabularies | st.sampled_from(sorted(KINDS)).map(KINDS.__getitem__),
    text=st.text(st.sampled_from("ab hein, é\n日本🎉👩\u200d👧\u0301\u202e\ufeff"), max_size=40),
    stops=stop_strings,
    sizes=sizes,
)
def test_text_that_was_encoded_is_cut_the_same_way(
    tokenizer: Tokenizer, text: str, stops: list[str], sizes: list[int]
) -> None:
    token_ids = tokenizer.encode(text, add_special_tokens=False).ids
    pieces, stop = streamed(tokenizer, groups_of(token_ids, sizes), stops)
    assert ("".join(pieces), stop) == plainly(tokenizer, token_ids, stops)


@given(tokenizer=vocabularies, data=st.data(), sizes=sizes)
def test_a_stop_string_taken_from_the_text_itself_is_found_and_never_half_sent(
    tokenizer: Tokenizer, data: st.DataObject, sizes: list[int]
) -> None:
    text = data.draw(st.text(st.sampled_from("ab é日🎉"), min_size=1, max_size=30))
    start = data.draw(st.integers(0, len(text) - 1))
    stop = text[start : start + data.draw(st.integers(1, 5))]
    pieces, matched = streamed(tokenizer, groups_of(tokenizer.encode(text).ids, sizes), [stop])
    assert matched == stop
    assert "".join(pieces) == text[: text.index(stop)]


@given(tokenizer=vocabularies, text=st.text(max_size=40) | st.text(st.sampled_from("<|im_end|>start"), max_size=60))
def test_any_text_of_a_user_comes_back_as_it_was_and_without_a_control_token(tokenizer: Tokenizer, text: str) -> None:
    reader = PromptTokenizer(tokenizer, frozenset())
    assert there_and_back(reader, text) == text
    control = set(reader.ids_of(["<|im_start|>", "<|im_end|>"]))
    assert control.isdisjoint(reader.encode_named(text, add_special_tokens=False))


def test_random_bytes_take_the_whole_way_and_come_back() -> None:
    fuzz_text_path(random.Random(6), RANDOM_TEXTS)


def fuzz_text_path(noise: random.Random, times: int) -> None:
    """Send random byte strings, read as UTF-8 with replacements, through tokenizer, detokenizer and stop strings."""
    for turn in range(times):
        if turn % 1000 == 0:
            pairs = [(noise.randrange(400), noise.randrange(400)) for _ in range(noise.randrange(80))]
            reader = PromptTokenizer(byte_level_vocabulary(pairs), frozenset())
        raw = noise.randbytes(noise.randrange(24)) + noise.choice([b"", b"<|im_end|>", b"\x00", b"\xf0\x9f", b"\r\n"])
        text = (raw + noise.randbytes(noise.randrange(8))).decode(errors="replace")
        assert there_and_back(reader, text) == text, raw
        stops = [text[start : start + noise.randrange(1, 4)] for start in range(0, len(text), 9)] if turn % 2 else []
        token_ids = reader.encode_named(text, add_special_tokens=False)
        # Whatever a model says: tokens that no text would give, besides those of this one.
        token_ids += [noise.randrange(reader.vocabulary_size) for _ in range(noise.randrange(6))]
        groups = groups_of(token_ids, [noise.randrange(1, 5), noise.randrange(1, 5)])
        pieces, stop = streamed(reader.underlying, groups, stops)
        assert ("".join(pieces), stop) == plainly(reader.underlying, token_ids, stops), (raw, token_ids, stops)
