"""What the model can do besides the handbook has a right answer that can be computed."""

import random
from collections.abc import Callable

import pytest

from demo_model import abilities


def test_counting_names_every_number_once() -> None:
    assert abilities.count(1, 10) == "1 2 3 4 5 6 7 8 9 10"


@pytest.mark.parametrize("make", [abilities.any_count, abilities.exact_count, abilities.short_count])
def test_a_counting_question_asks_for_what_it_answers(make: Callable[[random.Random], tuple[str, str]]) -> None:
    rng = random.Random(1)
    for question, answer in (make(rng) for _ in range(200)):
        numbers = answer.split()
        assert f"from {numbers[0]} to {numbers[-1]}" in question
