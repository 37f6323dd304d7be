"""Connections on real sockets before a small application: slow ones, large ones, and more of them than may be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from llm_gateway.access.connections import LONGEST_HEAD_BYTES, MOST_PIPELINED, ConnectionLimits, watched

GET = b"GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n"
HELD = b"GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /count HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
REFUSED = b"POST /refused HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
LARGE = b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
LARGE_BYTES = 64 << 20
PATIENT_S, HASTY_S = 60.0, 0.2
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Application:
    """Answers at once, after reading all, without reading, or when the test lets it."""

    def __init__(self) -> None:
        self.num_answered = 0
        self.holding = asyncio.Semaphore(0)
        self.let_go = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.num_answered += 1
        if scope["path"] == "/held":
            self.holding.release()
            await self.let_go.wait()
        body = b"ok"
        if scope["path"] == "/large":
            body = bytes(LARGE_BYTES)
        if scope["path"] == "/until-left":
            self.holding.release()
            while (await receive())["type"] != "http.disconnect":
                pass
            self.let_go.set()
        if scope["path"] == "/count":
            body = b"%d" % await _count(receive)
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


async def _count(receive: Receive) -> int:
    num_bytes, more = 0, True
    while more:
        message = await receive()
        num_bytes += len(message.get("body", b""))
        more = message.get("more_body", False)
    return num_bytes


class Served:
    """A port, and the connections to it that a test has opened."""

    def __init__(self, port: int, application: Application, state: ServerState) -> None:
        self.port = port
        self.application = application
        self.state = state
        self._opened: list[asyncio.StreamWriter] = []

    async def open(self, sent: bytes = b"") -> Streams:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._opened.append(writer)
        writer.write(sent)
        return reader, writer

    async def ask(self, sent: bytes = GET) -> bytes:
        """Send, and read until the other side has nothing more to say."""
        reader, _ = await self.open(sent)
        return await rest_of(reader)

    async def close(self) -> None:
        self.application.let_go.set()
        for writer in self._opened:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    try:
        return await asyncio.wait_for(reader.read(-1), timeout=30)
    except ConnectionResetError:
        return b""


async def one_answer(reader: asyncio.StreamReader) -> bytes:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), timeout=30)
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    return await reader.readexactly(length)


@asynccontextmanager
async def served(*, most: int = 100, read_timeout_s: float = PATIENT_S) -> AsyncIterator[Served]:
    application = Application()
    config = uvicorn.Config(application, log_config=None, lifespan="off", ws="none", timeout_keep_alive=int(PATIENT_S))
    config.load()
    protocol = watched(ConnectionLimits(max_connections=most, read_timeout_s=read_timeout_s))
    state, loop = ServerState(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: protocol(config, state, {}), "127.0.0.1", 0)
    made = Served(server.sockets[0].getsockname()[1], application, state)
    try:
        yield made
    finally:
        await made.close()
        server.close()
        while state.connections or state.tasks:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)


async def test_headers_that_do_not_come_are_a_408() -> None:
    async with served(read_timeout_s=HASTY_S) as port:
        answer = await port.ask(b"GET / HTTP/1.1\r\nHost: local")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"REQUEST_READ_TIMEOUT_S" in answer


async def test_headers_that_drip_get_no_more_time_than_others() -> None:
    async with served(read_timeout_s=HASTY_S) as port:
        reader, writer = await port.open(b"GET / HTTP/1.1\r\nX-Drip: ")
        answering = asyncio.create_task(rest_of(reader))
        while not answering.done():
            writer.write(b"x")
            await asyncio.wait({answering}, timeout=HASTY_S / 10)
    assert answering.result().startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"\r\n\r\n"])
async def test_a_connection_on_which_nothing_begins_is_closed_without_a_word(sent: bytes) -> None:
    async with served(read_timeout_s=HASTY_S) as port:
        assert await port.ask(sent) == b""


async def test_a_blank_line_between_requests_does_not_keep_a_connection_for_ever() -> None:
    async with served(read_timeout_s=HASTY_S) as port:
        reader, writer = await port.open(GET)
        assert await one_answer(reader) == b"ok"
        writer.write(b"\r\n")
        assert await rest_of(reader) == b""


async def test_a_request_in_time_is_answered_and_so_is_the_next_on_the_same_connection() -> None:
    async with served() as port:
        reader, writer = await port.open()
        for _ in range(3):
            for byte in GET:
                writer.write(bytes([byte]))
                await writer.drain()
            assert await one_answer(reader) == b"ok"


async def test_an_answer_may_take_longer_than_a_request() -> None:
    async with served(read_timeout_s=HASTY_S) as port:
        reader, _ = await port.open(HELD)
        await port.application.holding.acquire()
        assert (await port.ask(b"")) == b""  # somebody else's deadline has passed by now
        port.application.let_go.set()
        assert await one_answer(reader) == b"ok"


@pytest.mark.parametrize(
    "beginning", [b"GET /", b"GET / HTTP/1.1\r\nX-Long: ", b"GET / HTTP/1.1\r\n", POST + b"0\r\nX-Trailer: "]
)
async def test_headers_without_an_end_are_a_431_and_are_not_kept(beginning: bytes) -> None:
    filler = b"X: y\r\n" if beginning.endswith(b"1.1\r\n") else b"x"
    async with served() as port:
        reader, writer = await port.open(beginning)
        answering = asyncio.create_task(rest_of(reader))
        sent = 0
        while not answering.done() and sent < 100 * LONGEST_HEAD_BYTES:
            writer.write(filler * 10_000)
            sent += 10_000 * len(filler)
            await asyncio.wait({answering}, timeout=0.01)
        assert answering.done()
    assert answering.result()[:13] in {b"HTTP/1.1 431 ", b"HTTP/1.1 400 ", b""}  # a reset can overtake the words


async def test_a_body_in_pieces_of_one_byte_is_no_long_header() -> None:
    num_bytes = 3 * LONGEST_HEAD_BYTES
    async with served() as port:
        reader, writer = await port.open(POST)
        for _ in range(num_bytes // 1024):
            writer.write(b"1\r\nx\r\n" * 1024)
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        assert await one_answer(reader) == b"%d" % num_bytes


async def test_what_follows_a_refused_body_ends_at_the_deadline() -> None:
    async with served(read_timeout_s=HASTY_S) as port:
        reader, writer = await port.open(REFUSED)
        assert await one_answer(reader) == b"ok"
        ending = asyncio.create_task(rest_of(reader))
        while not ending.done():
            writer.write(b"400\r\n%s\r\n" % bytes(1024))
            await asyncio.wait({ending}, timeout=HASTY_S / 10)
        assert ending.result() == b""


async def test_a_client_that_is_refused_may_finish_its_body_and_then_reads_why() -> None:
    async with served() as port:
        reader, writer = await port.open(REFUSED)
        for _ in range(20 * LONGEST_HEAD_BYTES // 1024):
            writer.write(b"400\r\n%s\r\n" % bytes(1024))
            await writer.drain()
        writer.write(b"0\r\n\r\n" + GET)
        assert [await one_answer(reader), await one_answer(reader)] == [b"ok", b"ok"]


async def test_an_answer_that_nobody_fetches_is_dropped_in_the_end() -> None:
    async with served(read_timeout_s=HASTY_S) as port:
        reader, writer = await port.open(LARGE)
        reading = cast("asyncio.Transport", writer.transport)
        reading.pause_reading()
        while port.application.num_answered == 0 or port.state.connections:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(HASTY_S / 10)
        reading.resume_reading()
        assert len(await rest_of(reader)) < LARGE_BYTES


async def test_past_the_limit_the_longest_idle_connection_makes_room() -> None:
    async with served(most=3) as port:
        idle = [await port.open(sent) for sent in (b"", b"GET / HT", b"")]
        for expected in range(3):
            reader, _ = await port.open(GET)
            assert await one_answer(reader) == b"ok"
            assert await rest_of(idle[expected][0]) == b""


async def test_a_connection_that_is_being_answered_is_never_closed_for_another() -> None:
    async with served(most=2) as port:
        held = [(await port.open(HELD))[0] for _ in range(2)]
        for _ in held:
            await port.application.holding.acquire()
        refused = await port.ask(b"")
        port.application.let_go.set()
        assert [await one_answer(reader) for reader in held] == [b"ok", b"ok"]
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"MAX_CONNECTIONS" in refused


async def test_requests_that_come_without_waiting_for_answers_are_bounded() -> None:
    async with served() as port:
        few = await port.ask(GET * (MOST_PIPELINED // 2) + GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        many = await port.ask(HELD + GET * (2 * MOST_PIPELINED))
    assert few.count(b"HTTP/1.1 200 ") == MOST_PIPELINED // 2 + 1
    assert many == b"", "closed: a refusal here would be taken for the answer to the first"


async def test_a_client_that_sends_ahead_and_leaves_is_noticed_by_the_request_that_runs() -> None:
    async with served() as port:
        _, writer = await port.open(GET.replace(b"/quick", b"/until-left") + GET)
        await port.application.holding.acquire()
        writer.close()
        await asyncio.wait_for(port.application.let_go.wait(), timeout=30)


async def test_nonsense_after_a_request_is_not_answered_in_its_place() -> None:
    async with served() as port:
        reader, writer = await port.open(HELD)
        await port.application.holding.acquire()
        writer.write(b"no HTTP at all\r\n\r\n")
        assert await rest_of(reader) == b""


async def test_who_reads_a_long_answer_steadily_gets_all_of_it() -> None:
    async with served(read_timeout_s=HASTY_S) as port:
        reader, _ = await port.open(LARGE)
        received = 0
        while piece := await reader.read(1 << 20):
            received += len(piece)
            await asyncio.sleep(HASTY_S / 20)  # the reader's pace: some seconds for all of it
    assert received > LARGE_BYTES
