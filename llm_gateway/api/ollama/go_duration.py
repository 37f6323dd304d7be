"""Durations as Go writes them (`time.ParseDuration`), such as "10m", "1h30m" or "-1s": keep_alive is one."""

import json
import re
from typing import Final

_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_WHOLE: Final = re.compile(rf"([+-]?)(?:0|(?:{_PART.pattern})+)", re.ASCII)
_LONGEST: Final = 64
_UNITLESS: Final = re.compile(r"[+-]?\d+\.?\d*", re.ASCII)


def parse_keep_alive(value: object) -> object:
    """Return seconds: a number is seconds already, a text is a duration of Go's.

    Raises:
        ValueError: it is neither; the message is the one that Go has.
    """
    if isinstance(value, str):
        return _parse(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f'expected seconds or a duration such as "5m", found {type(value).__name__}')
    return float(value)


def _parse(text: str) -> float:
    whole = _WHOLE.fullmatch(text) if len(text) <= _LONGEST else None
    if whole is None:
        what = "missing unit in" if _UNITLESS.fullmatch(text[:_LONGEST]) else "invalid"
        raise ValueError(f'time: {what} duration {json.dumps(text[:_LONGEST])}; expected one such as "5m"')
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    return -seconds if whole[1] == "-" else seconds
