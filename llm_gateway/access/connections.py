"""Connections before they are requests: how long and how large one may be in the making, and how many there may be.

Uvicorn bounds the time between requests of one connection, and nothing else: headers may come a byte a minute and be
gigabytes long, and connections without a request are counted against those with one. This protocol adds what is
missing. From the end of a request's headers on, the application decides.
"""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Final

import msgspec
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from llm_gateway.access.upgrades import RequestParser

LONGEST_HEAD_BYTES: Final = 1 << 16
"""Of a request's line and headers, and of what surrounds the pieces of a body that is sent in pieces."""
MOST_PIPELINED: Final = 16
"""Requests that may be sent before the answers of earlier ones have come; HTTP clients of today send one."""
_OVERHEAD_PER_BYTE: Final = 8
"""A piece of one byte is six bytes on the wire."""
_LEAST_READ_BYTES: Final = 1 << 14
_MOST_CREDIT_BYTES: Final = 1 << 20
"""So that a long body does not pay for long headers after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What a client may take before the application hears of it."""

    max_connections: int
    read_timeout_s: float


class WatchedProtocol(HttpToolsProtocol):
    """One connection; `watched` makes the class for one server."""

    limits: ClassVar[ConnectionLimits]
    waiting: ClassVar[dict["WatchedProtocol", None]]
    """Connections in which no request is being answered, the longest waiting first."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.parser = RequestParser(self)
        self._deadline: asyncio.TimerHandle | None = None
        self._running: RequestResponseCycle | None = None
        """The request that is being answered; uvicorn's own `cycle` is the last one that has been read."""
        self._in_head = False
        self._chunk_bytes = 0
        self._overhead_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        if len(self.connections) > self.limits.max_connections and not self._close_another():
            self._refuse(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "too_many_connections",
                f"all {self.limits.max_connections} connections (MAX_CONNECTIONS) are busy; try again in a moment",
            )
            return
        self.waiting[self] = None
        self._start_deadline()

    def data_received(self, data: bytes) -> None:
        self._chunk_bytes = len(data)
        super().data_received(data)
        self._overhead_bytes += len(data)
        if self.transport.is_closing():
            return
        if self._overhead_bytes > LONGEST_HEAD_BYTES:
            self._refuse(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers_too_large",
                f"the request's headers are longer than {LONGEST_HEAD_BYTES} bytes; send fewer or shorter ones",
            )
        elif self in self.waiting and self._deadline is None:
            self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self.waiting.pop(self, None)
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)
        self._stop_deadline()

    def on_message_begin(self) -> None:
        self._in_head = True
        self._overhead_bytes = -self._chunk_bytes  # what else the chunk holds is another request's
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= MOST_PIPELINED:
            raise ConnectionError("the client sends without reading")  # the parser makes it a 400 and the end
        self._in_head = False
        self.waiting.pop(self, None)
        self._stop_deadline()
        super().on_headers_complete()
        if self.pipeline:
            self.flow.resume_reading()  # whoever does not read does not see that the client leaves

    def on_body(self, body: bytes) -> None:
        credit_bytes = _OVERHEAD_PER_BYTE * len(body)
        self._overhead_bytes = max(self._overhead_bytes - credit_bytes, -_MOST_CREDIT_BYTES)
        super().on_body(body)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._end()
        elif self.cycle.response_complete:
            self.waiting[self] = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        if self._may_answer():
            super().send_400_response(msg)
        else:
            self._end()

    def timeout_keep_alive_handler(self) -> None:
        self._end()

    def _close_another(self) -> bool:
        """Give the place of whoever waits longest to this connection; False where all have something to do."""
        longest = next((one for one in self.waiting if not one.transport.get_write_buffer_size()), None)
        if longest is None:
            return False
        del self.waiting[longest]
        longest.transport.abort()
        return True

    def _end(self) -> None:
        """Close; what was sent is dropped once hardly any of it is fetched in the time that a request may take."""
        self.transport.close()
        self._stop_deadline()
        self._drop_later()

    def _drop_later(self) -> None:
        unread_bytes = self.transport.get_write_buffer_size()
        self._deadline = self.loop.call_later(self.limits.read_timeout_s, self._drop_unless_read, unread_bytes)

    def _drop_unless_read(self, before_bytes: int) -> None:
        if before_bytes - self.transport.get_write_buffer_size() < _LEAST_READ_BYTES:
            self.transport.abort()
        else:
            self._drop_later()

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(self.limits.read_timeout_s, self._on_deadline)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _on_deadline(self) -> None:
        self._deadline = None
        if self._in_head:
            self._refuse(
                HTTPStatus.REQUEST_TIMEOUT,
                "request_timeout",
                f"the request's headers did not come within {self.limits.read_timeout_s:g} s "
                "(REQUEST_READ_TIMEOUT_S); send them at once",
            )
        else:
            self._end()

    def _refuse(self, status: HTTPStatus, kind: str, sentence: str) -> None:
        """Answer, unless an answer to something else is on its way, and close."""
        if self._may_answer():
            body = msgspec.json.encode({"error": sentence, "kind": kind})
            self.transport.write(
                b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
                % (status, status.phrase.encode(), len(body), body)
            )
        self._end()

    def _may_answer(self) -> bool:
        """Whether the next answer on this connection is that to what is being read now."""
        running = self._running
        if running is None or running.response_complete:
            return True
        return running is self.cycle and not running.response_started and not self._in_head


def watched(its_limits: ConnectionLimits) -> type[WatchedProtocol]:
    """Make the protocol of one server, whose connections know of each other."""

    class Watched(WatchedProtocol):
        limits = its_limits
        waiting: ClassVar[dict[WatchedProtocol, None]] = {}

    return Watched
