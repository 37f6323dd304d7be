"""How fast room becomes free: the measured rate at which tokens leave, and how long somebody had better stay away.

Only time in which somebody was inside counts, so an idle hour makes nobody wait. The last minute of it weighs most:
what left longer ago counts less, by a factor of e for each minute.
"""

import math
from collections.abc import Callable
from typing import Final

from llm_gateway.errors import MAX_RETRY_AFTER_S

_MEMORY_S: Final = 60.0


class Departures:
    """The tokens that left, and the time that they took, both fading; `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tokens = 0.0
        self._seconds = 0.0
        self._counted_to: float | None = None
        """Up to when the time has been counted; None while nobody is inside."""

    def begin(self) -> None:
        """Somebody is inside now; called again while that is so, it changes nothing."""
        if self._counted_to is None:
            self._counted_to = self._clock()

    def left(self, tokens: int, *, nobody_is_left: bool) -> None:
        """Count what has given its room back."""
        self._fade()
        self._tokens += tokens
        if nobody_is_left:
            self._counted_to = None

    def seconds_for(self, tokens: float) -> float | None:
        """How long it will probably take until so many tokens have left; None where nothing ever has."""
        self._fade()
        if not self._tokens:
            return None
        return tokens * self._seconds / self._tokens

    def _fade(self) -> None:
        if self._counted_to is None:
            return
        now = self._clock()
        kept = math.exp((self._counted_to - now) / _MEMORY_S)
        self._tokens *= kept
        # The time fades like the tokens that it brought, so a steady rate stays what it is.
        self._seconds = self._seconds * kept + _MEMORY_S * (1 - kept)
        self._counted_to = now


def retry_after_s(seconds: float | None) -> int:
    """Round up to whole seconds, at least 1 and at most what clients wait for; the least where nothing is known."""
    return 1 if seconds is None else math.ceil(min(MAX_RETRY_AFTER_S, max(1.0, seconds)))
