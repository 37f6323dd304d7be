"""Sizes as people write them for Docker: `4g`, `512m`, `2GiB`; every unit counts in powers of two, as Docker's do."""

import math
import re

_WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
_POWERS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}


def parse_size(text: str) -> int:
    """Return the number of bytes.

    Raises:
        ValueError: the text is no size.
    """
    matched = _WRITTEN.fullmatch(text.strip())
    if matched is None:
        raise ValueError(f"{text[:200]!r} is no size, expected a number with a unit, such as 512m or 4g")
    size = float(matched[1]) * (1 << _POWERS[matched[2].lower()])
    if not math.isfinite(size):
        raise ValueError(f"a size of {len(text)} digits is more than any machine has, expected one such as 512m or 4g")
    return int(size)
