"""What a key may use in a minute, on a clock that the test sets."""

import pytest

from llm_gateway.access.rate_limits import RateLimits
from llm_gateway.errors import RateLimitedError


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def limits(clock: Clock, requests: int | None = None, tokens: int | None = None) -> RateLimits:
    return RateLimits(requests_per_minute=requests, tokens_per_minute=tokens, now=clock)


def test_without_limits_nothing_is_refused() -> None:
    free = limits(Clock())
    for _ in range(10_000):
        free.admit("a")
        free.spend("a", 10**9)


def test_a_minutes_requests_may_come_at_once_and_the_next_is_told_when_to_come_back() -> None:
    clock = Clock()
    three = limits(clock, requests=3)
    for _ in range(3):
        three.admit("a")
    with pytest.raises(RateLimitedError, match=r"3 requests a minute .*RATE_LIMIT_REQUESTS.* in 20 s") as refused:
        three.admit("a")
    assert refused.value.retry_after_s == 20
    clock.seconds = 19.9
    with pytest.raises(RateLimitedError):
        three.admit("a")
    clock.seconds = 20.0
    three.admit("a")


def test_a_refusal_costs_nothing() -> None:
    clock = Clock()
    one = limits(clock, requests=1)
    one.admit("a")
    for _ in range(100):
        with pytest.raises(RateLimitedError):
            one.admit("a")
    clock.seconds = 60.0
    one.admit("a")


def test_one_key_does_not_use_up_what_another_may() -> None:
    one = limits(Clock(), requests=1)
    one.admit("a")
    one.admit("b")


def test_tokens_are_counted_when_an_answer_ends_and_a_debt_is_waited_for() -> None:
    clock = Clock()
    hundred = limits(clock, tokens=100)
    hundred.admit("a")
    hundred.admit("a")
    hundred.spend("a", 150)
    with pytest.raises(RateLimitedError, match="100 tokens a minute") as refused:
        hundred.admit("a")
    assert refused.value.retry_after_s in {30, 31}
    clock.seconds = 31.0
    hundred.admit("a")


def test_nothing_is_saved_up_beyond_a_minute() -> None:
    clock = Clock()
    two = limits(clock, requests=2)
    clock.seconds = 3600.0
    two.admit("a")
    two.admit("a")
    with pytest.raises(RateLimitedError):
        two.admit("a")


def test_a_request_that_lacks_tokens_does_not_use_up_a_request() -> None:
    clock = Clock()
    both = limits(clock, requests=1, tokens=60)
    both.spend("a", 61)
    with pytest.raises(RateLimitedError, match="tokens"):
        both.admit("a")
    clock.seconds = 2.0
    both.admit("a")
