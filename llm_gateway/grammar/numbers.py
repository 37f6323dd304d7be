"""Numbers between two bounds, as expressions over their digits.

A bounded number has no exponent, and so few digits behind the point that, with those before it, a double tells
every two of them apart: what is within the bounds as text is within them as the number that a client reads.
"""

import math
from fractions import Fraction
from typing import NamedTuple

from llm_gateway.grammar.ebnf import choice, literal, optional, repeat, sequence
from llm_gateway.grammar.json_values import DIGIT, MAX_DIGITS, MAX_INTEGER


class Bound(NamedTuple):
    """One end of a range."""

    value: Fraction
    exclusive: bool = False


def integers(lowest: Bound | None, highest: Bound | None) -> str | None:
    """Write the integers between two bounds, or return None where none of at most 15 digits is between them."""
    low, high = _limits(lowest, highest, 1)
    parts = []
    if low < 0 and low <= high:
        parts.append(sequence(literal("-"), naturals(max(1, -high), -low)))
    if high >= 0 and low <= high:
        parts.append(naturals(max(0, low), high))
    return choice(parts) if parts else None


def naturals(low: int, high: int) -> str:
    """Write the integers from `low` to `high`, neither of which is negative, without leading zeros."""
    parts = []
    whole: list[int] = []
    for length in range(len(str(low)), len(str(high)) + 1):
        smallest, largest = 10 ** (length - 1), 10**length - 1
        if low <= smallest and largest <= high and length > 1:
            whole.append(length)
        else:
            parts.append(_same_length(str(max(low, smallest if length > 1 else 0)), str(min(high, largest))))
    if whole:
        parts.append(sequence("[1-9]", repeat(DIGIT, whole[0] - 1, whole[-1] - 1)))
    return choice(parts)


def numbers(lowest: Bound | None, highest: Bound | None) -> str | None:
    """Write the numbers between two bounds, or return None where none that is short enough is between them."""
    given = [min(MAX_INTEGER, int(abs(bound.value))) for bound in (lowest, highest) if bound is not None]
    digits = MAX_DIGITS - len(str(max(given, default=0)))
    low, high = _limits(lowest, highest, 10**digits)
    parts = []
    if low < 0 and low <= high:
        parts.append(sequence(literal("-"), _decimals(max(1, -high), -low, digits)))
    if high >= 0 and low <= high:
        parts.append(_decimals(max(0, low), high, digits))
    return choice(parts) if parts else None


def _limits(lowest: Bound | None, highest: Bound | None, unit: int) -> tuple[int, int]:
    """Return the lowest and the highest number between two bounds, counted in steps of 1/`unit`."""
    low, high = -MAX_INTEGER * unit, MAX_INTEGER * unit
    if lowest is not None:
        low = max(low, _first_above(lowest, unit))
    if highest is not None:
        high = min(high, -_first_above(Bound(-highest.value, highest.exclusive), unit))
    return low, high


def _first_above(bound: Bound, unit: int) -> int:
    """Return the lowest number that a lower bound lets through, counted in steps of 1/`unit`."""
    steps = bound.value * unit
    return math.floor(steps) + 1 if bound.exclusive else math.ceil(steps)


def _same_length(low: str, high: str) -> str:
    """Write the digit strings from `low` to `high`, which have the same length."""
    if low == high:
        return literal(low)
    rest = len(low) - 1
    if set(low) == {"0"} and set(high) == {"9"}:
        return repeat(DIGIT, rest + 1, rest + 1)
    if low[0] == high[0]:
        return sequence(literal(low[0]), _same_length(low[1:], high[1:]))
    first, last = int(low[0]), int(high[0])
    parts = []
    if set(low[1:]) - {"0"}:
        parts.append(sequence(literal(low[0]), _same_length(low[1:], "9" * rest)))
        first += 1
    end = []
    if set(high[1:]) - {"9"}:
        end.append(sequence(literal(high[0]), _same_length("0" * rest, high[1:])))
        last -= 1
    if first <= last:
        parts.append(sequence(_digit(first, last), repeat(DIGIT, rest, rest)))
    return choice(parts + end)


def _decimals(low: int, high: int, digits: int) -> str:
    """Write what is between two numbers that are not negative, both counted in steps of 10**-`digits`."""
    unit = 10**digits
    (first, above), (last, below) = divmod(low, unit), divmod(high, unit)
    start, end = (str(fraction).zfill(digits) if digits else "" for fraction in (above, below))
    if first == last:
        return sequence(literal(str(first)), _fraction(start, end))
    parts = [sequence(literal(str(first)), _fraction(start, "9" * digits))]
    if last - first > 1:
        parts.append(sequence(naturals(first + 1, last - 1), _fraction("0" * digits, "9" * digits)))
    return choice([*parts, sequence(literal(str(last)), _fraction("0" * digits, end))])


def _fraction(low: str, high: str) -> str:
    """Write the point and the digits behind it, from `low` to `high`; they have the same length, possibly 0."""
    if not low:
        return '""'
    digits = sequence(literal("."), _between(low, high, nonempty=True))
    return digits if set(low) - {"0"} else optional(digits)


def _between(low: str, high: str, *, nonempty: bool = False) -> str:
    """Write the digits of fractions from `low` to `high`; zeros at their end may be left out."""
    shortest, longest = int(nonempty), len(low)
    if not longest:
        return '""'
    from_zero, to_nines = not set(low) - {"0"}, not set(high) - {"9"}
    if from_zero and to_nines:
        return repeat(DIGIT, shortest, longest)
    if low == high:
        kept = low.rstrip("0")
        zeros = repeat(literal("0"), 0 if kept else shortest, longest - len(kept))
        return sequence(literal(kept), zeros) if kept else zeros
    first, last = int(low[0]), int(high[0])
    if first == last:
        return sequence(literal(low[0]), _between(low[1:], high[1:]))
    parts = []
    if set(low[1:]) - {"0"}:
        parts.append(sequence(literal(low[0]), _between(low[1:], "9" * (longest - 1))))
        first += 1
    end = []
    if set(high[1:]) - {"9"}:
        end.append(sequence(literal(high[0]), _between("0" * (longest - 1), high[1:])))
        last -= 1
    if first <= last:
        parts.append(sequence(_digit(first, last), repeat(DIGIT, 0, longest - 1)))
    digits = choice(parts + end)
    return optional(digits) if from_zero and not nonempty else digits


def _digit(first: int, last: int) -> str:
    return literal(str(first)) if first == last else f"[{first}-{last}]"
