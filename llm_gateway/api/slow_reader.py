"""Cuts off a client that does not read what it asked for, so that it cannot hold a place for as long as it likes.

What is sent to a slow reader is bounded: the kernel's buffer, the server's above it (64 KiB), and then sending waits.
Nobody else waits with it. What the engine makes meanwhile is kept with the sequence, and is no more than its answer.
"""

import asyncio
from typing import Final

from starlette.types import Message, Send

from llm_gateway.api.streaming import CutStreamError

_LOOKS: Final = 4


class SlowReaderError(CutStreamError):
    """The client took nothing of its answer for too long."""


class PatientSender:
    """Sends for one response. A message that waits for `timeout_s` seconds, a quarter more at most, is given up.

    One timer looks a few times whether it is still the same message that waits: a timeout around each message of a
    stream would cost more than sending it.
    """

    def __init__(self, send: Send, timeout_s: float) -> None:
        self._send = send
        self._timeout_s = timeout_s
        self._num_begun = 0
        self._sender: asyncio.Task[object] | None = None
        """The task that waits for a message to be sent, while one does."""
        self._timer: asyncio.TimerHandle | None = None
        self._looks, self._looked_at = 0, 0
        self._gave_up = False

    async def send(self, message: Message) -> None:
        """Send, and wait where the client is slow.

        Raises:
            SlowReaderError: it was too slow.
        """
        if self._timer is None:
            self._look_later()
        self._num_begun += 1
        self._sender = asyncio.current_task()
        try:
            await self._send(message)
        except asyncio.CancelledError:
            if not self._gave_up or self._sender is None or self._sender.uncancel():
                raise  # somebody else wants it to end, too
            raise SlowReaderError(
                f"the client took nothing of its answer for {self._timeout_s:g} s (SLOW_READER_TIMEOUT_S)"
            ) from None
        finally:
            self._sender = None

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._timeout_s / _LOOKS, self._look)

    def _look(self) -> None:
        waits_still = self._sender is not None and self._num_begun == self._looked_at
        self._looks = self._looks + 1 if waits_still else 0
        self._looked_at = self._num_begun
        if self._looks == _LOOKS and self._sender is not None:
            self._gave_up = True
            self._sender.cancel()
        else:
            self._look_later()
