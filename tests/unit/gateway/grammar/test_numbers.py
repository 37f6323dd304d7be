"""Ranges of numbers, against comparison of the numbers themselves."""

import random
import re
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llm_gateway.grammar.ebnf import Rules
from llm_gateway.grammar.json_values import MAX_INTEGER
from llm_gateway.grammar.numbers import Bound, integers, numbers
from tests.support.grammar_sampler import Grammar

whole = st.integers(-1500, 1500) | st.integers(-(10**17), 10**17)
decimal = st.decimals(-2000, 2000, places=3) | st.integers(-(10**16), 10**16)


def allows(expression: str, text: str) -> bool:
    """The expressions of this module have no names, so they are regular expressions but for their quotation marks."""
    pattern = re.sub(r'"([^"]*)"', lambda found: re.escape(found.group(1)), expression).replace(" ", "")
    return re.fullmatch(pattern, text) is not None


def samples(expression: str) -> list[str]:
    grammar = Grammar(Rules().build(expression))
    return [grammar.sample(random.Random(seed)) for seed in range(20)]


@given(low=st.none() | whole, high=st.none() | whole, probe=whole)
def test_an_integer_is_allowed_exactly_when_it_is_in_the_range(low: int | None, high: int | None, probe: int) -> None:
    lowest = -MAX_INTEGER if low is None else max(low, -MAX_INTEGER)
    highest = MAX_INTEGER if high is None else min(high, MAX_INTEGER)
    expression = integers(
        None if low is None else Bound(Fraction(low)), None if high is None else Bound(Fraction(high))
    )
    if expression is None:
        assert lowest > highest
        return
    for value in {probe, lowest, highest, lowest - 1, highest + 1, 0, -1, 9, 10, 99, 100}:
        assert allows(expression, str(value)) == (lowest <= value <= highest), (value, expression)
    assert not allows(expression, "-0")


@given(low=decimal, high=decimal, low_out=st.booleans(), high_out=st.booleans(), probe=st.floats(-3000, 3000))
def test_a_number_is_allowed_only_when_it_is_in_the_range(
    low: float, high: float, low_out: bool, high_out: bool, probe: float
) -> None:
    assume(low <= high)
    expression = numbers(Bound(Fraction(low), low_out), Bound(Fraction(high), high_out))
    if expression is None:
        assert low == high or abs(low) > MAX_INTEGER or abs(high) > MAX_INTEGER or high - low < 1
        return

    def inside(value: float) -> bool:
        return (low < value or (low == value and not low_out)) and (value < high or (value == high and not high_out))

    for text in samples(expression):
        assert inside(Fraction(text))  # type: ignore[arg-type]
        assert float(low) <= float(text) <= float(high), text
        assert not (low_out and float(text) == float(low)), text
        assert not (high_out and float(text) == float(high)), text
    if abs(probe) > 0.001:
        text = f"{probe:.3f}".rstrip("0").rstrip(".")
        if max(abs(low), abs(high)) < 10**9 and text not in ("-0", "-"):
            assert allows(expression, text) == inside(Fraction(text)), (text, expression)  # type: ignore[arg-type]


def test_a_bound_that_is_left_out_still_has_a_length() -> None:
    positive = numbers(Bound(Fraction(0), exclusive=True), None)
    assert positive is not None
    assert allows(positive, "0.00000000000001")
    assert allows(positive, "999999999999999")
    for text in ("0", "0.0", "-1", "01", "1e3", "1000000000000000"):
        assert not allows(positive, text)


@pytest.mark.parametrize(("low", "high"), [(5, 4), (10**15, None), (None, -(10**15)), (10**20, 10**21)])
def test_a_range_without_a_number_that_is_short_enough_is_none(low: int | None, high: int | None) -> None:
    bounds = [None if value is None else Bound(Fraction(value)) for value in (low, high)]
    assert integers(*bounds) is None
    assert numbers(*bounds) is None


def test_nothing_is_between_two_exclusive_bounds_that_touch() -> None:
    assert integers(Bound(Fraction(1), exclusive=True), Bound(Fraction(2), exclusive=True)) is None
    assert numbers(Bound(Fraction(1), exclusive=True), Bound(Fraction(1))) is None
