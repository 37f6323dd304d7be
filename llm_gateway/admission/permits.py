"""Bounded room. A permit is a place in it: nobody generates without one, and it is given back once.

The room is bounded twice: by places, which are taken as a request comes in, and by tokens, which are taken once its
prompt has been read. Neither waits: a full room is an answer (429 with `Retry-After`), not a queue without an end. What
is inside and does not run yet waits in the engine, behind what runs.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from llm_gateway.admission.departures import Departures, retry_after_s
from llm_gateway.errors import OverloadedError


class Permit:
    """A place that is held. It is a context manager: leaving it gives the place back, however the request ended."""

    def __init__(self, places: "Places", *, counts: bool = True) -> None:
        self._places: Places | None = places
        self._counts = counts

    def check(self) -> None:
        """Refuse to be used after it was given back, which would be a bug of the caller."""
        self._room()

    @contextmanager
    def hold(self, tokens: int, limit: int | None) -> Iterator[None]:
        """Hold room for so many tokens, prompt and answer, of `limit` for all that are inside; None has no bound.

        A room in which nobody holds any takes every request, so that none is too large for ever.

        Raises:
            OverloadedError: there is not so much room now.
        """
        places = self._room()
        places.take_tokens(tokens, limit if self._counts else None)
        try:
            yield
        finally:
            places.give_tokens_back(tokens)

    def _room(self) -> "Places":
        if self._places is None:
            raise RuntimeError("this permit was given back; a request holds its permit until its answer has ended")
        return self._places

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._places is not None:
            if self._counts:
                self._places.give_back()
            self._places = None


class Places:
    """How many requests may be inside at once, and with how many tokens."""

    def __init__(
        self,
        total: int,
        *,
        opens_in_s: Callable[[], float | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`opens_in_s` tells how long it takes until those inside can begin, where they cannot yet."""
        self.total = total
        self.taken = 0
        self.tokens = 0
        """Prompts and answers of all that hold room for them."""
        self._num_holding = 0
        self._opens_in_s = opens_in_s
        self._departures = Departures(clock)
        self._empty = asyncio.Event()
        self._empty.set()

    def take(self) -> Permit:
        """Take a place.

        Raises:
            OverloadedError: every place is taken.
        """
        if self.taken >= self.total:
            seconds = retry_after_s(self._seconds_until_a_place())
            raise OverloadedError(
                f"all {self.total} places are taken (MAX_CONCURRENT_REQUESTS); come back in {seconds} s",
                retry_after_s=seconds,
            )
        self.taken += 1
        self._empty.clear()
        return Permit(self)

    def gateways_own(self) -> Permit:
        """Give the gateway itself a permit, for its warm-up: no client is kept out by it, and it by no client."""
        return Permit(self, counts=False)

    def give_back(self) -> None:
        self.taken -= 1
        if not self.taken:
            self._empty.set()

    def take_tokens(self, tokens: int, limit: int | None) -> None:
        """Take room for tokens; `Permit.hold` gives it back."""
        if limit is not None and self.tokens and self.tokens + tokens > limit:
            seconds = retry_after_s(self._departures.seconds_for(self.tokens + tokens - limit))
            raise OverloadedError(
                f"the requests inside may have {limit} tokens together, prompts and answers (MAX_CONCURRENT_TOKENS); "
                f"they have {self.tokens}, this one {tokens}; come back in {seconds} s, or ask for a shorter answer",
                retry_after_s=seconds,
            )
        self.tokens += tokens
        self._num_holding += 1
        self._departures.begin()

    def give_tokens_back(self, tokens: int) -> None:
        self.tokens -= tokens
        self._num_holding -= 1
        self._departures.left(tokens, nobody_is_left=not self._num_holding)

    async def until_empty(self) -> None:
        """Return as soon as nobody is inside."""
        await self._empty.wait()

    def _seconds_until_a_place(self) -> float | None:
        """How long until one of those inside has probably left: one with as many tokens as they have on average."""
        opens_in_s = self._opens_in_s()
        if opens_in_s is not None or not self._num_holding:
            return opens_in_s
        return self._departures.seconds_for(self.tokens / self._num_holding)
