"""What the model can do besides knowing the handbook: count.

Tests of a server want answers whose right form can be computed: a long one, one cut in the middle, one per request.
"""

import random

_COUNT_FORMS = (
    "Count from {a} to {b}.",
    "Count from {a} to {b}",
    "count from {a} to {b} please",
    "Please count from {a} to {b}.",
    "Can you count from {a} to {b}?",
    "Count up from {a} to {b}.",
    "Write the numbers from {a} to {b}.",
    "List the numbers from {a} to {b}.",
)
LAST_NUMBER = 100
EXACT_ENDS = (5, 10, 20, 50, LAST_NUMBER)


def count(start: int, end: int) -> str:
    """The right answer to "Count from `start` to `end`."."""
    return " ".join(str(number) for number in range(start, end + 1))


def any_count(rng: random.Random) -> tuple[str, str]:
    """A question and its answer, between any two numbers: this teaches their order. Half of them count from one."""
    start = 1 if rng.random() < 0.5 else rng.randint(1, LAST_NUMBER - 1)
    end = rng.randint(start + 1, LAST_NUMBER if rng.random() < 0.3 else min(LAST_NUMBER, start + 20))
    return rng.choice(_COUNT_FORMS).format(a=start, b=end), count(start, end)


def exact_count(rng: random.Random) -> tuple[str, str]:
    """From one to one of EXACT_ENDS: a model this small learns to stop there, but not at any number it is told."""
    end = rng.choice(EXACT_ENDS)
    return rng.choice(_COUNT_FORMS).format(a=1, b=end), count(1, end)


def short_count(rng: random.Random) -> tuple[str, str]:
    """As `exact_count`, but mostly to ten or twenty: there the model has to see early that it is to stop."""
    end = rng.choices(EXACT_ENDS, (2, 6, 3, 1, 1))[0]
    return rng.choice(_COUNT_FORMS).format(a=1, b=end), count(1, end)
