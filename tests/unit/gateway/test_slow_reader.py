"""A sender that loses patience with a client, and only with one that does not read."""

import asyncio

import pytest
from starlette.types import Message

from llm_gateway.api.slow_reader import PatientSender, SlowReaderError

MESSAGE: Message = {"type": "http.response.body", "body": b"a piece", "more_body": True}
NO_TIME = 1e-3


class Client:
    """Takes what is sent only while it reads."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.got: list[Message] = []

    async def send(self, message: Message) -> None:
        await self.reads.wait()
        self.got.append(message)


async def test_a_client_that_does_not_read_is_given_up() -> None:
    sender = PatientSender(Client().send, NO_TIME)
    with pytest.raises(SlowReaderError, match="SLOW_READER_TIMEOUT_S"):
        await sender.send(MESSAGE)
    sender.close()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_whoever_ends_the_sending_from_outside_ends_it() -> None:
    sender = PatientSender(Client().send, 60)
    sending = asyncio.ensure_future(sender.send(MESSAGE))
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    sender.close()


async def test_a_client_that_reads_is_never_given_up_however_long_the_answer_takes() -> None:
    client = Client()
    client.reads.set()
    sender = PatientSender(client.send, NO_TIME)
    await sender.send(MESSAGE)
    for _ in range(20):
        sender._look()
    await sender.send(MESSAGE)
    sender.close()
    assert len(client.got) == 2


async def test_a_client_that_reads_at_last_has_missed_nothing() -> None:
    client = Client()
    sender = PatientSender(client.send, 60)
    sending = asyncio.ensure_future(sender.send(MESSAGE))
    await asyncio.sleep(0)
    client.reads.set()
    await sending
    sender.close()
    assert client.got == [MESSAGE]
