"""The front door over real sockets: a small server behind it, plain sockets before it."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from front_door.__main__ import main
from front_door.carry import Connections, serve

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SEVERAL_BUFFERS_BYTES = 8 << 20
PATIENCE_S = 60.0


@asynccontextmanager
async def a_door_to(
    talk: Talk, most: int = 1000, dead_after_unread_s: float = PATIENCE_S
) -> AsyncIterator[tuple[Connections, int]]:
    gateway = await asyncio.start_server(talk, "127.0.0.1", 0)
    connections = Connections(("127.0.0.1", gateway.sockets[0].getsockname()[1]), most)
    door = await serve(connections, "127.0.0.1", 0, dead_after_unread_s)
    async with gateway, door:
        yield connections, door.sockets[0].getsockname()[1]
        await asyncio.wait_for(connections.all_closed(), timeout=10)


async def echo_until_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def test_bytes_arrive_whole_in_both_directions() -> None:
    payload = bytes(range(256)) * (SEVERAL_BUFFERS_BYTES // 256)
    async with a_door_to(echo_until_the_end) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sending = asyncio.create_task(_send_all(writer, payload))
        received = await reader.read(-1)
        await sending
        writer.close()
        await writer.wait_closed()
    assert received == payload


async def _send_all(writer: asyncio.StreamWriter, payload: bytes) -> None:
    writer.write(payload)
    await writer.drain()
    writer.write_eof()


async def test_many_clients_do_not_hear_each_other() -> None:
    async def ask(port: int, word: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await _send_all(writer, word)
        answer = await reader.read(-1)
        writer.close()
        await writer.wait_closed()
        return answer

    words = [b"client %d" % number for number in range(50)]
    async with a_door_to(echo_until_the_end) as (_, port):
        assert await asyncio.gather(*(ask(port, word) for word in words)) == words


async def test_a_client_that_leaves_is_noticed_behind_the_door() -> None:
    left = asyncio.Event()

    async def wait_for_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"first piece")
        await reader.read(-1)
        left.set()
        writer.close()
        await writer.wait_closed()

    async with a_door_to(wait_for_the_end) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.readexactly(11) == b"first piece"
        writer.close()
        await asyncio.wait_for(left.wait(), timeout=10)


async def test_a_client_that_does_not_read_slows_the_sender_down_and_fills_no_memory() -> None:
    sent = 0
    told_to_end = asyncio.Event()

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while not told_to_end.is_set() and sent < 1 << 30:
            writer.write(bytes(1 << 16))
            try:
                await asyncio.wait_for(writer.drain(), timeout=0.5)
            except TimeoutError:
                told_to_end.set()
            sent += 1 << 16
        writer.transport.abort()

    async with a_door_to(pour) as (_, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 10)
        await asyncio.wait_for(told_to_end.wait(), timeout=60)
        writer.transport.abort()
    assert sent < 1 << 28


@pytest.mark.skipif(sys.platform != "linux", reason="the option is Linux's")
@pytest.mark.parametrize("gateway_closes", [False, True], ids=["while more waits", "after the gateway has closed"])
async def test_a_client_that_never_reads_is_given_up_although_its_machine_answers(gateway_closes: bool) -> None:
    begun, over = asyncio.Event(), asyncio.Event()

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.set()
        writer.write(bytes(SEVERAL_BUFFERS_BYTES))
        if gateway_closes:
            writer.close()
        else:
            await over.wait()
            writer.transport.abort()

    async with a_door_to(pour, dead_after_unread_s=0.5) as (connections, port):
        client = socket.create_connection(("127.0.0.1", port))
        await asyncio.wait_for(begun.wait(), timeout=PATIENCE_S)
        await asyncio.wait_for(connections.all_closed(), timeout=PATIENCE_S)
        over.set()
        client.close()


async def test_a_client_that_waits_long_for_an_answer_is_not_given_up() -> None:
    async def think(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        await asyncio.sleep(1)  # the model's, as long as ten times the door's patience
        writer.write(b"y")
        writer.close()

    async with a_door_to(think, dead_after_unread_s=0.1) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x")
        assert await reader.read(-1) == b"y"
        writer.close()
        await writer.wait_closed()


async def test_the_open_connections_end_before_the_door_does() -> None:
    async with a_door_to(echo_until_the_end) as (connections, port):
        await asyncio.wait_for(connections.all_closed(), timeout=1)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x")
        await reader.readexactly(1)
        ending = asyncio.create_task(connections.all_closed())
        await asyncio.sleep(0)
        assert not ending.done()
        writer.close()
        await writer.wait_closed()
        await asyncio.wait_for(ending, timeout=10)


async def test_without_a_gateway_the_door_says_503_and_where_to_look() -> None:
    door = await serve(Connections(("127.0.0.1", 1)), "127.0.0.1", 0, PATIENCE_S)
    async with door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.sockets[0].getsockname()[1])
        writer.write(b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello")
        answer = await reader.read(-1)
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 5" in answer
    assert b"docker compose logs model_fetcher" in answer


async def test_beyond_what_the_door_carries_it_says_so_and_carries_the_others_on() -> None:
    async with a_door_to(echo_until_the_end, most=2) as (_, port):
        carried = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for reader, writer in carried:
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = await reader.read(-1)
        writer.close()
        await writer.wait_closed()
        for reader, writer in carried:
            await _send_all(writer, b"y")
            assert await reader.read(-1) == b"y"
            writer.close()
            await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 5" in answer
    assert b"more connections than the door can carry" in answer


async def test_whoever_leaves_makes_room_at_the_door() -> None:
    async with a_door_to(echo_until_the_end, most=1) as (connections, port):
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await _send_all(writer, b"x")
            assert await reader.read(-1) == b"x"
            writer.close()
            await writer.wait_closed()
            await asyncio.wait_for(connections.all_closed(), timeout=10)


@pytest.mark.parametrize(
    "arguments", [[], ["8085"], ["8085", "gateway", "30"], ["door", "gateway:8085", "30"], ["8085", "gateway:8085"]]
)
def test_a_wrong_argument_is_answered_with_an_example(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "python -m front_door 8085 llm_gateway:8085 30" in capsys.readouterr().err
