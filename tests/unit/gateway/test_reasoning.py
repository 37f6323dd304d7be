"""Reasoning apart from the answer: where it begins and ends, and that no cut matters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.stream.reasoning import ReasoningSplitter, Split, begins_inside, can_think


def split(*pieces: str, inside: bool = False) -> tuple[str, str]:
    splitter = ReasoningSplitter(inside=inside)
    parts = [*(splitter.push(piece) for piece in pieces), splitter.flush()]
    return "".join(part.reasoning for part in parts), "".join(part.text for part in parts)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("<think>\nHm.\n</think>\n\nYes.", ("Hm.", "Yes.")),
        ("\n <think>Hm.</think>Yes.", ("Hm.", "Yes.")),
        ("<think>\n\n</think>\n\nYes.", ("", "Yes.")),
        ("<think>a < b\n\nc</think> d </think>", ("a < b\n\nc", "d </think>")),
        ("<think>Hm.</thi", ("Hm.</thi", "")),
        ("<think>Hm.\n", ("Hm.\n", "")),
        ("<think>", ("", "")),
        ("Yes. <think>No.</think>", ("", "Yes. <think>No.</think>")),
        ("\n Yes.", ("", "\n Yes.")),
        ("<thin", ("", "<thin")),
        ("</think>Yes.", ("", "</think>Yes.")),
    ],
)
def test_reasoning_is_what_stands_between_the_marks_at_the_start(answer: str, expected: tuple[str, str]) -> None:
    assert split(answer) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("\nHm.\n</think>\n\nYes.", ("Hm.", "Yes.")),
        ("<think>Hm.</think>Yes.", ("Hm.", "Yes.")),
        ("</think>Yes.", ("", "Yes.")),
        ("Hm.", ("Hm.", "")),
        ("<th", ("<th", "")),
    ],
)
def test_after_a_prompt_that_opened_it_the_answer_begins_inside(answer: str, expected: tuple[str, str]) -> None:
    assert split(answer, inside=True) == expected


fragments = st.sampled_from(["<think>", "</think>", "<thi", "</", "nk>", "<", " ", "\n", "a", "b c"])


@given(data=st.data(), answer=st.lists(fragments, max_size=12).map("".join), inside=st.booleans())
def test_however_an_answer_is_cut_the_same_comes_out(data: st.DataObject, answer: str, inside: bool) -> None:
    places = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=8)))
    pieces = [answer[start:end] for start, end in zip([0, *places], [*places, len(answer)], strict=True)]
    assert split(*pieces, inside=inside) == split(answer, inside=inside) == split(*answer, inside=inside)


def test_reasoning_is_given_out_while_it_is_written() -> None:
    splitter = ReasoningSplitter(inside=False)
    pieces = ["<think>\n", "Hm", ". ", "So</", "b></thi", "nk>\n", "Yes", "."]
    assert [splitter.push(piece) for piece in pieces] == [
        Split(),
        Split("Hm"),
        Split("."),
        Split(" So"),
        Split("</b>"),
        Split(),
        Split(text="Yes"),
        Split(text="."),
    ]


def test_an_answer_without_reasoning_passes_at_once() -> None:
    splitter = ReasoningSplitter(inside=False)
    assert [splitter.push("Yes"), splitter.push(" <think>"), splitter.push(".")] == [
        Split(text="Yes"),
        Split(text=" <think>"),
        Split(text="."),
    ]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("<|im_start|>assistant\n<think>\n", True),
        ("<think>", True),
        ("<think>\n\n</think>\n\n", False),
        ("<|im_start|>assistant\n", False),
        ("", False),
    ],
)
def test_the_prompt_says_whether_reasoning_has_begun(prompt: str, expected: bool) -> None:
    assert begins_inside(prompt) is expected


def test_a_template_that_knows_reasoning_names_its_end() -> None:
    assert can_think("{{ content.split('</think>')[-1] }}")
    assert not can_think("{{ content }}")
    assert not can_think(None)
