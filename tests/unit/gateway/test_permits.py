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
