import pytest

from llm_gateway.admission.permits import Places
from llm_gateway.errors import OverloadedError


def test_a_place_is_given_back_once_however_the_request_ends() -> None:
    places = Places(1)
    with pytest.raises(ZeroDivisionError), places.take():
        places.taken / 0
    permit = places.take()
    with permit, permit:
        pass
    assert places.taken == 0


def test_a_full_room_refuses_and_says_when_to_come_back() -> None:
    places = Places(2)
    with places.take(), places.take(), pytest.raises(OverloadedError) as refused:
        places.take()
    assert refused.value.retry_after_s is not None
    assert refused.value.retry_after_s <= 60


def test_a_permit_that_was_given_back_opens_no_door() -> None:
    permit = Places(1).take()
    with permit:
        permit.check()
    with pytest.raises(RuntimeError):
        permit.check()


async def test_an_empty_room_is_noticed_at_once() -> None:
    places = Places(1)
    await places.until_empty()
    with places.take():
        assert not places._empty.is_set()
    await places.until_empty()


class Clock:
    """Seconds, as the test has it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_tokens_are_given_back_however_the_request_ends() -> None:
    places = Places(1)
    with pytest.raises(ZeroDivisionError), places.take() as permit, permit.hold(10, 100):
        places.tokens / 0
    assert places.tokens == 0


def test_a_request_that_is_too_much_beside_others_is_refused_with_all_numbers() -> None:
    places = Places(3)
    with places.take() as first, first.hold(70, 100), places.take() as second:
        with pytest.raises(OverloadedError) as refused, second.hold(31, 100):
            pass
        assert all(word in str(refused.value) for word in ("100", "70", "31", "MAX_CONCURRENT_TOKENS"))
        with second.hold(30, 100):
            assert places.tokens == 100


def test_an_empty_room_takes_a_request_of_any_size() -> None:
    with Places(1).take() as permit, permit.hold(1000, 100):
        pass


def test_without_a_limit_there_is_always_room() -> None:
    places = Places(2)
    with places.take() as first, first.hold(10**9, None), places.take() as second, second.hold(10**9, None):
        assert places.tokens == 2 * 10**9


@pytest.fixture
def measured() -> Places:
    """Two places, of which 10 tokens have left per second."""
    clock = Clock()
    places = Places(2, clock=clock)
    with places.take() as permit, permit.hold(100, None):
        clock.now += 10
    return places


def test_a_place_is_free_when_an_average_request_of_those_inside_has_left(measured: Places) -> None:
    with measured.take() as first, first.hold(200, None), measured.take() as second, second.hold(100, None):
        with pytest.raises(OverloadedError) as refused:
            measured.take()
        assert refused.value.retry_after_s == pytest.approx(15, abs=2)


def test_there_is_room_when_as_many_tokens_have_left_as_are_too_many(measured: Places) -> None:
    with measured.take() as first, first.hold(200, None), measured.take() as second:
        with pytest.raises(OverloadedError) as refused, second.hold(100, 250):
            pass
        assert refused.value.retry_after_s == pytest.approx(5, abs=1)


def test_while_the_model_loads_the_wait_is_as_long_as_the_load() -> None:
    places = Places(1, opens_in_s=lambda: 42.0)
    with places.take(), pytest.raises(OverloadedError) as refused:
        places.take()
    assert refused.value.retry_after_s == 42


def test_the_gateways_own_permit_keeps_nobody_out_and_is_kept_out_by_nobody() -> None:
    places = Places(1)
    with places.take(), places.gateways_own() as own:
        own.check()
        assert places.taken == 1
    assert places.taken == 0
