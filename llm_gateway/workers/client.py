"""The gateway's side of the socket: asynchronous, one object per worker, and no thread.

Everything a sequence produces arrives in its `TokenStream`. When the socket closes, every stream that is still open
ends with an error, so no request is left waiting: that is the crash signal, and there is no other.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import msgspec
import structlog

from llm_gateway.admission.permits import Permit
from llm_gateway.errors import GatewayError, GenerationFailedError, UnsupportedError, WorkerDiedError
from llm_gateway.generation import SequenceRequest, TokenChunk
from llm_gateway.workers.protocol import (
    Begun,
    CacheCleared,
    Cancel,
    ClearCache,
    ClearingCache,
    FrameReader,
    Generate,
    Load,
    Loaded,
    LoadFailed,
    Lost,
    Produced,
    Refused,
    ToGateway,
    ToWorker,
    to_frame,
)

_log = structlog.get_logger()


@dataclass(slots=True)
class WorkDone:
    """What engines have computed, added up over all workers; tokens that nobody took any more are among it."""

    steps: int = 0
    tokens: int = 0


class TokenStream:
    """What one sequence produces. Chunks that are ready at once are taken together.

    Where nobody takes them they wait here, and no more of them than the sequence may have tokens.
    """

    def __init__(self) -> None:
        self._waiting: TokenChunk | None = None
        self._error: GatewayError | None = None
        self._changed = asyncio.Event()
        self.ended = False
        self.cached_tokens = 0
        """How much of the prompt the prefix cache had; known before the first chunk comes."""

    def put(self, chunk: TokenChunk) -> None:
        self._waiting = chunk if self._waiting is None else _joined(self._waiting, chunk)
        self.ended = chunk.finish is not None
        self._changed.set()

    def fail(self, error: GatewayError) -> None:
        if not self.ended:
            self._error = error
            self.ended = True
            self._changed.set()

    async def next(self) -> TokenChunk:
        """Wait for something new and return all of it; after a finish there is nothing more to wait for.

        Raises:
            GatewayError: the sequence ended without an answer.
        """
        await self._changed.wait()
        self._changed.clear()
        if self._error is not None:
            raise self._error
        chunk, self._waiting = self._waiting, None
        assert chunk is not None, "it was put before the event was set"
        return chunk


def _joined(first: TokenChunk, second: TokenChunk) -> TokenChunk:
    unknown = first.logprobs is None and second.logprobs is None
    return TokenChunk(
        first.sequence_id,
        first.token_ids + second.token_ids,
        second.finish,
        None if unknown else [*(first.logprobs or ()), *(second.logprobs or ())],
        second.stop_token_id,
        second.stop_logprob,
    )


class WorkerClient(asyncio.Protocol):
    """Speaks the worker protocol over one socket."""

    def __init__(self, work_done: WorkDone | None = None) -> None:
        self._work_done = work_done or WorkDone()
        self._frames = FrameReader()
        self._decoder = msgspec.msgpack.Decoder(ToGateway)
        self._streams: dict[int, TokenStream] = {}
        self._unanswered: set[int] = set()
        """Sequences that the worker has not taken up yet, those included that nobody waits for any more."""
        self._next_id = 0
        self._transport: asyncio.WriteTransport | None = None
        loop = asyncio.get_running_loop()
        self._loaded: asyncio.Future[Loaded | LoadFailed] = loop.create_future()
        self._cache_cleared: asyncio.Future[int] | None = None
        self._clearing_cache = False
        self.signs_of_life = 0
        """Grows with each step that ends, and when work begins after a rest."""
        self._farewell = "the model's process ended while it worked on this request; try again shortly"
        self.disconnected: asyncio.Event = asyncio.Event()

    @property
    def waits_for_a_step(self) -> bool:
        """Whether the engine has work, and nothing else to do before it."""
        return bool(self._streams or self._unanswered) and not self._clearing_cache

    async def load(self, load: Load) -> Loaded | LoadFailed:
        """Tell the worker what to load and wait until it has, or has said why not."""
        if not self._loaded.done():  # it may have ended before it heard a word
            self._send(load)
        return await self._loaded

    def new_sequence_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def generate(self, permit: Permit, sequences: list[SequenceRequest]) -> list[TokenStream]:
        """Begin sequences; without a permit in hand there is no way to call this."""
        permit.check()
        streams = [TokenStream() for _ in sequences]
        if self.disconnected.is_set():
            raise WorkerDiedError("the model's process has ended; it is being loaded again, try again shortly")
        frame = to_frame(Generate(sequences))  # first: what cannot be said to the worker never began
        if not (self._streams or self._unanswered):
            self.signs_of_life += 1
        self._streams.update({request.sequence_id: stream for request, stream in zip(sequences, streams, strict=True)})
        self._unanswered.update(request.sequence_id for request in sequences)
        self._write(frame)
        return streams

    def cancel(self, sequence_ids: Iterable[int]) -> None:
        """Stop sequences that have not ended; ended ones are passed over."""
        open_ids = [sequence_id for sequence_id in sequence_ids if self._streams.pop(sequence_id, None) is not None]
        if open_ids and not self.disconnected.is_set():
            self._send(Cancel(open_ids))

    def give_up(self, sequence_ids: Iterable[int], error: GatewayError) -> None:
        """Stop sequences that have not ended, and have whoever waits for them fail with `error`."""
        sequence_ids = list(sequence_ids)
        for sequence_id in sequence_ids:
            if (stream := self._streams.get(sequence_id)) is not None:
                stream.fail(error)
        self.cancel(sequence_ids)

    async def clear_cache(self) -> int:
        """Have the cache dropped once the running sequences have ended; returns the bytes given back.

        Raises:
            WorkerDiedError: the worker is no more.
        """
        if self.disconnected.is_set():
            raise WorkerDiedError("the model's process has ended; it is being loaded again, try again shortly")
        if self._cache_cleared is None or self._cache_cleared.done():
            self._cache_cleared = asyncio.get_running_loop().create_future()
            self._send(ClearCache())
        return await asyncio.shield(self._cache_cleared)

    def close(self, farewell: str) -> None:
        """Close the socket, upon which the worker ends; `farewell` is what open requests are told."""
        self._farewell = farewell
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not checked by isinstance: uvloop's transports have the methods and not the base class.
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        for body in self._frames.feed(data):
            self._take(self._decoder.decode(body))

    def connection_lost(self, exc: Exception | None) -> None:
        _log.debug("worker disconnected", error=exc)
        self.disconnected.set()
        if not self._loaded.done():
            self._loaded.set_result(LoadFailed("the model's process ended while it was loading"))
        died = WorkerDiedError(self._farewell)
        if self._cache_cleared is not None and not self._cache_cleared.done():
            self._cache_cleared.set_exception(died)
            self._cache_cleared.exception()  # looked at, in case that whoever asked has left
        for stream in self._streams.values():
            stream.fail(died)
        self._streams.clear()

    def _send(self, message: ToWorker) -> None:
        self._write(to_frame(message))

    def _write(self, frame: bytes) -> None:
        assert self._transport is not None, "connection_made comes first"
        self._transport.write(frame)

    def _take(self, message: ToGateway) -> None:
        match message:
            case Produced(chunks, num_steps):
                self._count(chunks, num_steps)
                for chunk in chunks:
                    self._hand_over(chunk)
            case Begun(sequence_id, cached_tokens):
                self._unanswered.discard(sequence_id)
                if (begun := self._streams.get(sequence_id)) is not None:
                    begun.cached_tokens = cached_tokens
            case Refused(sequence_id, sentence):
                self._fail(sequence_id, UnsupportedError(sentence))
            case Lost(sequence_id, sentence):
                self._fail(sequence_id, GenerationFailedError(sentence))
            case Loaded() | LoadFailed():
                self._loaded.set_result(message)
            case ClearingCache():
                self._clearing_cache = True
            case CacheCleared(freed_bytes):
                self._note_cleared(freed_bytes)

    def _note_cleared(self, freed_bytes: int) -> None:
        self._clearing_cache = False
        self.signs_of_life += 1
        self._unanswered.clear()  # of what was cancelled meanwhile it says nothing
        # After a step that failed it is cleared unasked, or before it could be asked.
        if self._cache_cleared is not None and not self._cache_cleared.done():
            self._cache_cleared.set_result(freed_bytes)

    def _count(self, chunks: list[TokenChunk], num_steps: int) -> None:
        self.signs_of_life += 1
        self._work_done.steps += num_steps
        self._work_done.tokens += sum([len(chunk.token_ids) for chunk in chunks])

    def _fail(self, sequence_id: int, error: GatewayError) -> None:
        self.signs_of_life += 1
        self._unanswered.discard(sequence_id)
        stream = self._streams.pop(sequence_id, None)
        if stream is not None:
            stream.fail(error)

    def _hand_over(self, chunk: TokenChunk) -> None:
        stream = self._streams.get(chunk.sequence_id)
        if stream is None:
            return  # cancelled while this chunk was on its way
        stream.put(chunk)
        if chunk.finish is not None:
            del self._streams[chunk.sequence_id]
