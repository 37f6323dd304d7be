"""Text as it comes, against what the tokenizer says of the whole."""

from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from llm_gateway.stream.detokenizer import IncrementalDetokenizer
from tests.unit.gateway import small_tokenizers

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
kinds = pytest.mark.parametrize("kind", small_tokenizers.ALL)


@cache
def tokenizer_of(kind: str) -> Tokenizer:
    return small_tokenizers.ALL[kind]()


def pieces_of(tokenizer: Tokenizer, groups: Sequence[Sequence[int]]) -> list[str]:
    detokenizer = IncrementalDetokenizer(tokenizer)
    return [*(detokenizer.push(group) for group in groups), detokenizer.flush()]


@kinds
@given(data=st.data())
def test_any_tokens_in_any_groups_add_up_to_the_plain_decoding(kind: str, data: st.DataObject) -> None:
    tokenizer = tokenizer_of(kind)
    token = st.integers(0, tokenizer.get_vocab_size() - 1)
    groups = data.draw(st.lists(st.lists(token, max_size=4), max_size=24))

    pieces = pieces_of(tokenizer, groups)

    whole = [token_id for group in groups for token_id in group]
    assert "".join(pieces) == tokenizer.decode(whole, skip_special_tokens=True)


@kinds
@given(text=st.text(st.sampled_from("abt hein,Kü日語🎉👩\u200d👧\n"), max_size=30))
def test_text_that_was_encoded_comes_back_without_a_single_broken_character(kind: str, text: str) -> None:
    tokenizer = tokenizer_of(kind)
    ids = tokenizer.encode(text, add_special_tokens=False).ids

    pieces = pieces_of(tokenizer, [[token_id] for token_id in ids])

    assert "".join(pieces) == tokenizer.decode(ids)
    assert REPLACEMENT not in "".join(pieces)


@pytest.mark.parametrize("kind", ["byte_level", "byte_fallback"])
def test_an_emoji_of_four_tokens_appears_at_once(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    ids = tokenizer.encode("a🦜e", add_special_tokens=False).ids
    assert len(ids) > 4

    pieces = [piece for piece in pieces_of(tokenizer, [[token_id] for token_id in ids]) if piece]

    assert all(REPLACEMENT not in piece for piece in pieces)
    assert any("🦜" in piece for piece in pieces)


def test_half_an_emoji_at_the_end_is_shown_as_one_replacement_character() -> None:
    tokenizer = tokenizer_of("byte_level")
    ids = tokenizer.encode("a🦜").ids[:-1]

    *pieces, last = pieces_of(tokenizer, [[token_id] for token_id in ids])

    assert "".join(pieces) == "a"
    assert last == REPLACEMENT


def test_a_character_that_is_settled_does_not_wait_for_the_next_token() -> None:
    tokenizer = tokenizer_of("byte_level")

    pieces = pieces_of(tokenizer, [[token_id] for token_id in tokenizer.encode("how do I").ids])

    assert pieces[-1] == ""
    assert "".join(pieces[:2]) != ""


def test_special_tokens_have_no_text_and_do_not_disturb_the_spaces_around_them() -> None:
    tokenizer = tokenizer_of("byte_fallback")
    (word,) = tokenizer.encode("the", add_special_tokens=False).ids

    assert pieces_of(tokenizer, [[1], [word], [2], [word], [2]]) == ["", "the", "", " the", "", ""]


@given(data=st.data())
def test_long_noise_is_decoded_piecewise_and_still_adds_up(data: st.DataObject) -> None:
    tokenizer = tokenizer_of("byte_level")
    high_bytes = [token_id for token_id in range(2, 258) if tokenizer.decode([token_id]) == REPLACEMENT]
    noise = data.draw(st.lists(st.sampled_from(high_bytes), min_size=60, max_size=150))

    assert "".join(pieces_of(tokenizer, [[token_id] for token_id in noise])) == tokenizer.decode(noise)


def test_nothing_pushed_is_nothing_flushed() -> None:
    assert pieces_of(tokenizer_of("byte_level"), [[]]) == ["", ""]


@kinds
@given(data=st.data())
def test_a_shown_special_token_stands_as_itself_between_what_is_around_it(kind: str, data: st.DataObject) -> None:
    tokenizer = tokenizer_of(kind)
    added = tokenizer.get_added_tokens_decoder()
    special = {token_id for token_id, token in added.items() if token.special}
    shown = data.draw(st.sampled_from(sorted(special)))
    ordinary = st.integers(0, tokenizer.get_vocab_size() - 1).filter(lambda token_id: token_id not in special)
    before, after = data.draw(st.lists(ordinary, max_size=6)), data.draw(st.lists(ordinary, max_size=6))

    detokenizer = IncrementalDetokenizer(tokenizer, frozenset({shown}))
    text = "".join(detokenizer.push([token_id]) for token_id in [*before, shown, *after]) + detokenizer.flush()

    assert text == tokenizer.decode(before) + added[shown].content + tokenizer.decode(after)
