"""When to come back, computed from what left, on a clock that stands still unless it is told."""

import pytest

from llm_gateway.admission.departures import Departures, retry_after_s


class Clock:
    """Seconds, as the test has it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def departures(clock: Clock) -> Departures:
    return Departures(clock)


def test_nothing_is_known_before_anything_has_left(departures: Departures, clock: Clock) -> None:
    departures.begin()
    clock.now += 10
    assert departures.seconds_for(100) is None


def test_a_steady_rate_is_what_it_is(departures: Departures, clock: Clock) -> None:
    departures.begin()
    for _ in range(300):
        clock.now += 1
        departures.left(50, nobody_is_left=False)
    assert departures.seconds_for(500) == pytest.approx(10, rel=0.02)


def test_an_idle_hour_makes_nobody_wait(departures: Departures, clock: Clock) -> None:
    departures.begin()
    clock.now += 2
    departures.left(100, nobody_is_left=True)
    before = departures.seconds_for(100)
    clock.now += 3600
    assert departures.seconds_for(100) == before == pytest.approx(2, rel=0.05)


def test_what_is_slower_now_than_it_was_makes_the_wait_longer(departures: Departures, clock: Clock) -> None:
    departures.begin()
    clock.now += 1
    departures.left(1000, nobody_is_left=False)
    waits = []
    for _ in range(4):
        clock.now += 60
        waits.append(departures.seconds_for(1000))
    known = [wait for wait in waits if wait is not None]
    assert known == sorted(known)
    assert known[-1] > 60


def test_beginning_twice_counts_the_time_once(departures: Departures, clock: Clock) -> None:
    departures.begin()
    clock.now += 5
    departures.begin()
    clock.now += 5
    departures.left(10, nobody_is_left=False)
    assert departures.seconds_for(10) == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize(
    ("seconds", "told"), [(None, 1), (0.0, 1), (0.2, 1), (1.1, 2), (59.5, 60), (1e9, 60), (float("inf"), 60)]
)
def test_what_clients_are_told_is_whole_seconds_from_1_to_60(seconds: float | None, told: int) -> None:
    assert retry_after_s(seconds) == told
