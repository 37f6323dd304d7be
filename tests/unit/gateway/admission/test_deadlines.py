"""What takes longer than it may, with deadlines that have passed already: no test waits for one."""

import asyncio
import time

import pytest

from llm_gateway.admission.deadlines import NEVER, Deadline
from llm_gateway.errors import DeadlinePassedError


def _passed() -> Deadline:
    return Deadline(time.monotonic() - 10, 1)


async def test_what_waits_when_the_deadline_passes_is_cancelled_and_told_why() -> None:
    waiting = asyncio.get_running_loop().create_future()
    with pytest.raises(DeadlinePassedError, match="REQUEST_TIMEOUT_S"):
        await _passed().hold(waiting)
    assert waiting.cancelled()


async def test_what_does_not_wait_is_not_disturbed() -> None:
    async def ready() -> str:
        return "ready"

    assert await _passed().hold(ready()) == "ready"


async def test_a_timeout_of_the_work_itself_is_no_deadline() -> None:
    async def fails() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await Deadline(time.monotonic(), 60).hold(fails())


async def test_somebody_is_called_when_it_passes_inside_a_block() -> None:
    called: asyncio.Future[DeadlinePassedError] = asyncio.get_running_loop().create_future()
    with _passed().calls(called.set_result):
        error = await called
    assert error.status == 504
    assert error.retry_after_s is None


async def test_nobody_is_called_after_the_block() -> None:
    called: list[DeadlinePassedError] = []
    with _passed().calls(called.append):
        pass
    after = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0, after.set_result, None)
    await after
    assert called == []


async def test_no_timeout_never_passes() -> None:
    called: list[DeadlinePassedError] = []
    with NEVER.calls(called.append):
        assert await NEVER.hold(asyncio.sleep(0, "done")) == "done"
    assert called == []
