"""The answers that the door gives by itself, all of them 503: there is no gateway behind it, or no room in it."""

import asyncio
from collections.abc import Callable


def _answer(status: bytes, sentence: bytes) -> bytes:
    body = b'{"status": "%s", "detail": "%s"}\n' % (status, sentence)
    return (
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )


NO_GATEWAY = _answer(
    b"unreachable",
    b"The gateway does not run: it starts when its weights are on the volume (docker compose logs model_fetcher), "
    b"and says why when it stops (docker compose logs llm_gateway).",
)
NO_ROOM = _answer(b"full", b"There are more connections than the door can carry; try again in a moment.")

_HEADERS_END = b"\r\n\r\n"
_LONGEST_HEADERS_BYTES = 1 << 16
_PATIENCE_S = 5.0


class Refusal(asyncio.Protocol):
    """Waits for the end of a request's headers, answers, and closes.

    It answers only then, and half-closes first, because a socket that is closed with unread bytes in it sends a reset,
    and a reset can overtake the answer.
    """

    def __init__(self, transport: asyncio.Transport, answer: bytes, on_close: Callable[[], None]) -> None:
        self._transport = transport
        self._answer = answer
        self._on_close = on_close
        self._received = b""
        self._answered = False
        self._timeout = asyncio.get_running_loop().call_later(_PATIENCE_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._answered:
            return
        self._received += data
        if _HEADERS_END in self._received or len(self._received) > _LONGEST_HEADERS_BYTES:
            self._answered = True
            self._transport.write(self._answer)
            self._transport.write_eof()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._timeout.cancel()
        self._on_close()
