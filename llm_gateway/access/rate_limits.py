"""How much each key may ask for in a minute: requests, which are counted when they come, and tokens, when they end.

Token buckets: what was not used in the last minute may be used at once, and then as fast as it comes back. An answer's
tokens are known at its end only, so those that run together can take a bucket below zero; it is paid back by waiting.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from llm_gateway.errors import RateLimitedError

NOBODY: Final = ""
"""The bucket of everybody together, where there are no keys."""


@dataclass(slots=True)
class _Bucket:
    """What one key has left of one allowance."""

    per_minute: int
    level: float
    filled_at: float

    def fill(self, now: float) -> None:
        self.level = min(float(self.per_minute), self.level + (now - self.filled_at) * self.per_minute / 60)
        self.filled_at = now

    def wait_s(self) -> float:
        """Seconds until there is one of what it holds; zero or less where there is."""
        return (1 - self.level) * 60 / self.per_minute


class _Allowance:
    """One setting, for each key apart."""

    def __init__(self, per_minute: int, what: str, setting: str) -> None:
        self._per_minute = per_minute
        self._what = what
        self._setting = setting
        self._buckets: dict[str, _Bucket] = {}

    def check(self, key: str, now: float) -> None:
        wait_s = self._bucket(key, now).wait_s()
        if wait_s > 0:
            retry_after_s = math.ceil(wait_s)
            raise RateLimitedError(
                f"{self._per_minute} {self._what} a minute are allowed ({self._setting}) and used up; ask again in "
                f"{retry_after_s} s",
                retry_after_s=retry_after_s,
            )

    def take(self, key: str, amount: float, now: float) -> None:
        self._bucket(key, now).level -= amount

    def _bucket(self, key: str, now: float) -> _Bucket:
        bucket = self._buckets.setdefault(key, _Bucket(self._per_minute, self._per_minute, now))
        bucket.fill(now)
        return bucket


class RateLimits:
    """Both allowances; None is no limit. Names of keys are few, so what it remembers is bounded."""

    def __init__(
        self,
        *,
        requests_per_minute: int | None,
        tokens_per_minute: int | None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._requests = _allowance(requests_per_minute, "requests", "RATE_LIMIT_REQUESTS")
        self._tokens = _allowance(tokens_per_minute, "tokens", "RATE_LIMIT_TOKENS")
        self._now = now

    def admit(self, key: str) -> None:
        """Count a request that wants something computed.

        Raises:
            RateLimitedError: one of the two allowances is used up; nothing was counted then.
        """
        now = self._now()
        if self._tokens:
            self._tokens.check(key, now)
        if self._requests:
            self._requests.check(key, now)
            self._requests.take(key, 1, now)

    def spend(self, key: str, tokens: int) -> None:
        """Count the tokens of a request that has ended, its prompt's and its answer's."""
        if self._tokens and tokens:
            self._tokens.take(key, tokens, self._now())


def _allowance(per_minute: int | None, what: str, setting: str) -> _Allowance | None:
    return None if per_minute is None else _Allowance(per_minute, what, setting)
