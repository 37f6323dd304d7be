"""Stop strings across pieces, against a model that sees the whole text at once."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.stream.stop_strings import StopStringFilter


def cut_at_once(text: str, stops: Sequence[str]) -> tuple[str, str | None]:
    """The plain model: the earliest start wins, and of those the longest."""
    found = [(text.find(stop), -len(stop), stop) for stop in stops if stop and stop in text]
    if not found:
        return text, None
    start, _, stop = min(found)
    return text[:start], stop


def filtered(pieces: Sequence[str], stops: Sequence[str]) -> tuple[list[str], str | None]:
    stop_filter = StopStringFilter(stops)
    sent = [*(stop_filter.push(piece) for piece in pieces), stop_filter.flush()]
    return sent, stop_filter.matched


few_letters = st.text(st.sampled_from("abc"), max_size=5)


@given(pieces=st.lists(few_letters, max_size=10), stops=st.lists(few_letters, max_size=4))
def test_pieces_are_cut_exactly_where_the_whole_text_would_be(pieces: list[str], stops: list[str]) -> None:
    sent, matched = filtered(pieces, stops)

    assert ("".join(sent), matched) == cut_at_once("".join(pieces), stops)


@given(text=st.text(st.sampled_from("ab\n"), max_size=40))
def test_nothing_that_was_sent_has_to_be_taken_back_and_nothing_is_held_without_need(text: str) -> None:
    stops = ["ab\n", "bb"]
    stop_filter = StopStringFilter(stops)
    sent = ""
    for position, character in enumerate(text, start=1):
        sent += stop_filter.push(character)
        assert cut_at_once(text, stops)[0].startswith(sent)
        if stop_filter.matched is None:
            assert position - len(sent) < max(map(len, stops))


def test_a_stop_string_across_three_pieces_is_never_half_sent() -> None:
    assert filtered(["Hello <", "|end", "|> more"], ["<|end|>"]) == (["Hello ", "", "", ""], "<|end|>")


def test_a_false_beginning_is_sent_as_soon_as_it_is_known_to_be_one() -> None:
    assert filtered(["a <", "b>"], ["<|end|>"]) == (["a ", "<b>", ""], None)


def test_what_looks_like_a_beginning_at_the_end_of_the_text_is_sent() -> None:
    assert filtered(["a <|en"], ["<|end|>"]) == (["a ", "<|en"], None)


def test_a_longer_stop_string_is_waited_for_and_the_shorter_one_counts_if_it_does_not_come() -> None:
    assert filtered(["x\n"], ["\n", "\n\n"]) == (["x", ""], "\n")
    assert filtered(["x\n", "\ny"], ["\n", "\n\n"]) == (["x", "", ""], "\n\n")


@pytest.mark.parametrize("stops", [[], [""]])
def test_without_stop_strings_everything_passes_at_once(stops: list[str]) -> None:
    assert filtered(["a", "b"], stops) == (["a", "b", ""], None)


def test_after_a_stop_string_nothing_more_is_sent() -> None:
    stop_filter = StopStringFilter(["."])

    assert [stop_filter.push("a.b"), stop_filter.push("c"), stop_filter.flush()] == ["a", "", ""]
    assert stop_filter.matched == "."


@given(pieces=st.lists(few_letters, max_size=10), stops=st.lists(few_letters, max_size=4))
def test_an_included_stop_string_is_the_end_of_the_text(pieces: list[str], stops: list[str]) -> None:
    stop_filter = StopStringFilter(stops, include=True)
    sent = "".join([*(stop_filter.push(piece) for piece in pieces), stop_filter.flush()])

    before, matched = cut_at_once("".join(pieces), stops)
    assert (sent, stop_filter.matched) == (before + (matched or ""), matched)
