"""Until when a request is worked on, the time that it waited included: nobody waits for ever."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from llm_gateway.errors import DeadlinePassedError

_Result = TypeVar("_Result")


class Deadline:
    """One request's, `timeout_s` after it `arrived` (`time.monotonic()`); a timeout of 0 never passes."""

    def __init__(self, arrived: float, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._at = arrived + timeout_s if timeout_s else None

    async def hold(self, work: Awaitable[_Result]) -> _Result:
        """Wait for something, and no longer than this allows.

        Raises:
            DeadlinePassedError: it took longer, and was cancelled.
        """
        try:
            async with asyncio.timeout(self._seconds_left()) as scope:
                return await work
        except TimeoutError:
            if scope.expired():
                raise self.passed() from None
            raise

    @contextmanager
    def calls(self, give_up: Callable[[DeadlinePassedError], None]) -> Iterator[None]:
        """Call `give_up` if it passes inside the block.

        For what yields on its way: a timeout around that would end its consumer, wherever that is then.
        """
        left = self._seconds_left()
        if left is None:
            yield
            return
        timer = asyncio.get_running_loop().call_later(left, lambda: give_up(self.passed()))
        try:
            yield
        finally:
            timer.cancel()

    def passed(self) -> DeadlinePassedError:
        return DeadlinePassedError(
            f"the answer was not whole after {self._timeout_s:g} s, the time in the queue included "
            "(REQUEST_TIMEOUT_S); ask for a shorter one, or ask when there is less to do"
        )

    def _seconds_left(self) -> float | None:
        return None if self._at is None else max(0.0, self._at - time.monotonic())


NEVER: Final = Deadline(0, 0)
"""For the gateway's own requests."""
