"""Carries bytes between a client and the gateway, both ways, at the pace of the slower one; parses nothing.

An end of either side reaches the other at once, so the gateway sees a client leave exactly as if it were next door.
"""

import asyncio
import socket
import sys
from typing import cast

from front_door.no_gateway import NO_GATEWAY, NO_ROOM, Refusal

MOST_CONNECTIONS = 4096
"""More than the gateway takes (MAX_CONNECTIONS), which closes idle ones for new ones, and with them theirs here."""

_MOST_REFUSALS = 256
"""Refusing takes a place for a moment, too; beyond these there is no answer at all."""
_BACKLOG = 1024
_CONNECT_TIMEOUT_S = 2.0


class Connections:
    """The open client connections, and where they lead."""

    def __init__(self, upstream: tuple[str, int], most: int = MOST_CONNECTIONS) -> None:
        self.upstream = upstream
        self._most = most
        self._open: set[ClientSide] = set()
        self._none_open = asyncio.Event()
        self._none_open.set()

    def opened(self, side: "ClientSide") -> None:
        self._open.add(side)
        self._none_open.clear()

    @property
    def full(self) -> bool:
        """Whether there are more than may be carried."""
        return len(self._open) > self._most

    @property
    def overrun(self) -> bool:
        """Whether there are more than may even be told so."""
        return len(self._open) > self._most + _MOST_REFUSALS

    def closed(self, side: "ClientSide") -> None:
        self._open.discard(side)
        if not self._open:
            self._none_open.set()

    async def all_closed(self) -> None:
        await self._none_open.wait()


class Side(asyncio.Protocol):
    """One side of a pair: what arrives here is written to the other side."""

    transport: asyncio.Transport
    other: "Side | None" = None
    ended: bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.other:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        """Pass a half-closed connection on as what it is; when both halves are closed, so is the pair."""
        self.ended = True
        if self.other is None or self.other.ended:
            return False
        self.other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if self.other:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other:
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if self.other:
            other, self.other = self.other, None
            _end(other.transport, error)


class ClientSide(Side):
    """A client's connection; it is not read before the gateway's end is there to take what it sends."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._connecting: asyncio.Task[None] | None = None
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connections.opened(self)
        if self._connections.overrun:
            self.transport.abort()
        elif self._connections.full:
            self._refuse(NO_ROOM)
        else:
            self.transport.pause_reading()
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def data_received(self, data: bytes) -> None:
        if self.other:
            super().data_received(data)
        else:  # early releases of Python 3.11 read from a transport that was paused as soon as it was made
            self._early += data

    def eof_received(self) -> bool:
        if self.other:
            return super().eof_received()
        self.ended = True
        return True

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._connections.closed(self)

    def link(self, other: Side) -> None:
        """Let bytes flow from here on."""
        self.other = other
        other.transport.write(self._early)
        if self.ended:
            other.transport.write_eof()
        self.transport.resume_reading()

    async def _connect(self) -> None:
        loop, (host, port) = asyncio.get_running_loop(), self._connections.upstream
        try:
            await asyncio.wait_for(loop.create_connection(lambda: GatewaySide(self), host, port), _CONNECT_TIMEOUT_S)
        except OSError:  # TimeoutError and failed name lookups are among them
            self._refuse(NO_GATEWAY)
            self.transport.resume_reading()

    def _refuse(self, answer: bytes) -> None:
        refusal = Refusal(self.transport, answer, on_close=lambda: self._connections.closed(self))
        self.transport.set_protocol(refusal)
        refusal.data_received(self._early)


class GatewaySide(Side):
    """The connection to the gateway that was opened for one client."""

    def __init__(self, client: ClientSide) -> None:
        self.other = self._client = client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._client.transport.is_closing():  # the client left while the gateway was looked for
            self.transport.abort()
        else:
            self._client.link(self)


def _end(transport: asyncio.Transport, error: Exception | None) -> None:
    if error is None:
        transport.close()
    else:
        transport.abort()


async def serve(connections: Connections, host: str, port: int, dead_after_unread_s: float) -> asyncio.Server:
    """Listen; every connection becomes a pair, and ends when what its client was sent stays unread for that long.

    Nobody else would end it: a client may be asked for ever whether it has room again, and answer that it has none.
    """
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: ClientSide(connections), host, port, backlog=_BACKLOG)
    if sys.platform == "linux":
        for listener in server.sockets:  # whose option each connection inherits
            milliseconds = int(1000 * dead_after_unread_s)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    return server
