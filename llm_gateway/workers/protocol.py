"""Everything that gateway and worker say to each other, named by the receiver.

A frame is four bytes of length (big-endian) and one msgpack message. The worker's end of the socket closing is how the
gateway learns that it died, and the gateway's end closing is how the worker learns that it should end.
"""

import struct
from typing import TypeAlias

import msgspec

from llm_gateway.generation import SequenceRequest, TokenChunk

MAX_FRAME_BYTES = 64 << 20
_LENGTH = struct.Struct(">I")


class EngineOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers that an engine is built with."""

    num_threads: int
    kv_cache_tokens: int
    kv_cache_precision: str
    inference_precision: str
    max_num_seqs: int
    max_batched_tokens: int
    prefix_caching: bool
    chunked_prefill: bool = True
    context_tokens: int = 0
    """Longest prompt and answer together; 0 leaves it to the model."""
    device: str = "cpu"
    quantization: str = "none"
    """none, int8 or int4: for engines that compress published weights while they load them."""
    gpu_memory_utilization: float = 0.9
    """Share of the GPU's memory that an engine may take, for those that plan by share."""
    tensor_parallel_size: int = 1
    fake: str = ""


class Load(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """To the worker, first of all: what to load, and with which engine."""

    engine: str
    model_folder: str
    options: EngineOptions


class Generate(msgspec.Struct, frozen=True, tag=True):
    """To the worker: begin these sequences."""

    sequences: list[SequenceRequest]


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """To the worker: nobody wants these any more."""

    sequence_ids: list[int]


class ClearCache(msgspec.Struct, frozen=True, tag=True):
    """To the worker: when what runs has ended, forget every cached prefix and give the memory back."""


class Loaded(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """To the gateway: the model is in memory."""

    num_threads: int


class LoadFailed(msgspec.Struct, frozen=True, tag=True):
    """To the gateway: the model is not, and will not be; one sentence says why."""

    message: str


class Begun(msgspec.Struct, frozen=True, tag=True):
    """To the gateway: this sequence is under way, and the prefix cache had so many tokens of its prompt."""

    sequence_id: int
    cached_tokens: int


class Produced(msgspec.Struct, frozen=True, tag=True):
    """To the gateway: what all sequences gained. It comes after each step, so a step that never ends is noticed."""

    chunks: list[TokenChunk]
    num_steps: int = 1
    """How many steps the engine has finished since it last said so."""


class Refused(msgspec.Struct, frozen=True, tag=True):
    """To the gateway: this sequence ends here without an answer; one sentence says why."""

    sequence_id: int
    message: str


class Lost(msgspec.Struct, frozen=True, tag=True):
    """To the gateway: this sequence ends here through no fault of its own; one sentence says why."""

    sequence_id: int
    message: str


class ClearingCache(msgspec.Struct, frozen=True, tag=True):
    """To the gateway: what ran has ended, and the cache is being cleared, which can take as long as loading.

    It comes unasked after a step that the engine could not recover from in any other way.
    """


class CacheCleared(msgspec.Struct, frozen=True, tag=True):
    """To the gateway: how many bytes the worker's process became smaller by."""

    freed_bytes: int


ToWorker: TypeAlias = Load | Generate | Cancel | ClearCache
ToGateway: TypeAlias = Loaded | LoadFailed | Begun | Produced | Refused | Lost | ClearingCache | CacheCleared

_encoder = msgspec.msgpack.Encoder()


def to_frame(message: ToWorker | ToGateway) -> bytes:
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Turns bytes, cut wherever the socket cut them, into whole message bodies."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived and return the bodies that it completed, in order.

        Raises:
            ValueError: the length of a frame is beyond `MAX_FRAME_BYTES`, so the other end speaks something else.
        """
        self._buffer += data
        bodies = []
        while (body := self._next_body()) is not None:
            bodies.append(body)
        return bodies

    def _next_body(self) -> bytes | None:
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        if length > MAX_FRAME_BYTES:
            raise ValueError(f"a frame of {length} bytes was announced, at most {MAX_FRAME_BYTES} are expected")
        end = _LENGTH.size + length
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        return body
