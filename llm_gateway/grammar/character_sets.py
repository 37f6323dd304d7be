"""Sets of characters as sorted, separate ranges of code points."""

from collections.abc import Iterable
from typing import TypeAlias

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""First and last code point of each range, in order, with a gap between one and the next."""

ALL: Ranges = ((0x01, 0xD7FF), (0xE000, 0x10FFFF))
"""Every character that an answer can contain: no surrogates, and not U+0000."""


def of(characters: str) -> Ranges:
    return union((ord(character), ord(character)) for character in characters)


def union(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Sort ranges and join those that touch."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return tuple(joined)


def complement(ranges: Ranges) -> Ranges:
    """Every character of `ALL` that is not in `ranges`."""
    gaps: list[tuple[int, int]] = []
    start = 0
    for low, high in ranges:
        gaps.append((start, low - 1))
        start = high + 1
    gaps.append((start, 0x10FFFF))
    return intersection(tuple(gap for gap in gaps if gap[0] <= gap[1]), ALL)


def intersection(first: Ranges, second: Ranges) -> Ranges:
    return union(
        (max(low, other_low), min(high, other_high))
        for low, high in first
        for other_low, other_high in second
        if max(low, other_low) <= min(high, other_high)
    )


def without(ranges: Ranges, removed: Ranges) -> Ranges:
    return intersection(ranges, complement(removed))
