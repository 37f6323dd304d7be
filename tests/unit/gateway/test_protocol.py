from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.generation import FinishReason, Sampling, SequenceRequest, TokenChunk
from llm_gateway.workers import protocol
from llm_gateway.workers.protocol import Cancel, FrameReader, Generate, Produced, ToGateway, ToWorker, to_frame

REQUEST = SequenceRequest(
    sequence_id=3, prompt_token_ids=[1, 2], max_tokens=4, sampling=Sampling(seed=5), stop_token_ids=[6]
)


@given(st.lists(st.lists(st.integers(0, 2**40), max_size=5), max_size=6), st.data())
def test_frames_come_out_as_they_went_in_wherever_the_socket_cuts_them(
    batches: list[list[int]], data: st.DataObject
) -> None:
    messages = [Cancel(batch) for batch in batches]
    stream = b"".join(map(to_frame, messages))
    reader, received = FrameReader(), []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        received += [msgspec.msgpack.decode(body, type=ToWorker) for body in reader.feed(stream[:cut])]
        stream = stream[cut:]
    assert received == messages


def test_a_frame_that_announces_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="a frame of"):
        FrameReader().feed(b"\xff\xff\xff\xff")


@pytest.mark.parametrize(
    ("message", "direction"),
    [
        (Generate([REQUEST]), ToWorker),
        (Produced([TokenChunk(3, [7, 8]), TokenChunk(4, [], FinishReason.STOP)]), ToGateway),
    ],
)
def test_messages_survive_the_socket(message: ToWorker | ToGateway, direction: object) -> None:
    (body,) = FrameReader().feed(to_frame(message))
    assert msgspec.msgpack.decode(body, type=direction) == message


def test_every_message_says_who_receives_it() -> None:
    for message, receiver in ((ToWorker, "To the worker"), (ToGateway, "To the gateway")):
        for kind in get_args(message):
            assert (kind.__doc__ or "").startswith(receiver), kind
    assert not set(get_args(protocol.ToWorker)) & set(get_args(protocol.ToGateway))
