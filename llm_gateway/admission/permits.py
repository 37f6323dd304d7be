"""Bounded places. A permit is a place in the room of requests: nobody generates without one, and it is given back once.

Taking one never waits: a full room is an answer (429 with Retry-After), not a queue without an end.
"""

import asyncio
from types import TracebackType
from typing import Self

from llm_gateway.errors import OverloadedError

_RETRY_AFTER_S = 2


class Permit:
    """A place that is held. It is a context manager: leaving it gives the place back, however the request ended."""

    def __init__(self, places: "Places") -> None:
        self._places: Places | None = places

    def check(self) -> None:
        """Refuse to be used after it was given back, which would be a bug of the caller."""
        if self._places is None:
            raise RuntimeError("this permit was given back; a request holds its permit until its answer has ended")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._places is not None:
            self._places.give_back()
            self._places = None


class Places:
    """How many requests may be inside at once."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.taken = 0
        self._empty = asyncio.Event()
        self._empty.set()

    def take(self) -> Permit:
        """Take a place.

        Raises:
            OverloadedError: every place is taken.
        """
        if self.taken >= self.total:
            raise OverloadedError(
                f"all {self.total} places are taken (MAX_CONCURRENT_REQUESTS); come back in {_RETRY_AFTER_S} s",
                retry_after_s=_RETRY_AFTER_S,
            )
        self.taken += 1
        self._empty.clear()
        return Permit(self)

    def give_back(self) -> None:
        self.taken -= 1
        if not self.taken:
            self._empty.set()

    async def until_empty(self) -> None:
        """Return as soon as nobody is inside."""
        await self._empty.wait()
