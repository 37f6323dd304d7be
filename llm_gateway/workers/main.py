"""The child process: one engine, one socket, one loop. It reads no environment and knows no client.

    python -m llm_gateway.workers.main <file descriptor of the socket>

Each turn of the loop takes the messages that have come, steps the engine once if it has work, and sends what all
sequences gained in one message. When the gateway's end of the socket closes, the process ends.
"""

import os
import socket
import sys
from collections import deque
from pathlib import Path

import msgspec

from llm_gateway.engines.base import Engine, RequestRefusedError, StepFailedError
from llm_gateway.engines.choose import build_engine
from llm_gateway.generation import SequenceRequest
from llm_gateway.heap import return_free_memory
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
from machine.memory import resident_bytes

_RECEIVE_BYTES = 1 << 16


class GatewayGoneError(Exception):
    """The other end of the socket is closed."""


class Channel:
    """The worker's end of the socket, blocking only when asked to."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._frames = FrameReader()
        self._decoder = msgspec.msgpack.Decoder(ToWorker)

    def send(self, message: ToGateway) -> None:
        try:
            self._connection.sendall(to_frame(message))
        except OSError as error:
            raise GatewayGoneError from error

    def receive(self, *, wait: bool) -> list[ToWorker]:
        """Return what has come; with `wait`, at least one message.

        Raises:
            GatewayGoneError: nothing will come any more.
        """
        messages: list[ToWorker] = []
        while data := self._read(wait=wait and not messages):
            messages += [self._decoder.decode(body) for body in self._frames.feed(data)]
        return messages

    def _read(self, *, wait: bool) -> bytes:
        try:
            data = self._connection.recv(_RECEIVE_BYTES, 0 if wait else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise GatewayGoneError from error
        if not data:
            raise GatewayGoneError
        return data


class Worker:
    """The loop around one engine."""

    def __init__(self, channel: Channel, engine: Engine) -> None:
        self._channel = channel
        self._engine = engine
        self._held_back: deque[SequenceRequest] = deque()
        self._clear_wanted = False
        self._steps_told = engine.num_steps

    def run(self) -> None:
        while True:
            self.turn()

    def turn(self) -> None:
        """Take messages, clear the cache if that is due, step once."""
        for message in self._channel.receive(wait=not self._engine.has_work() and not self._clear_wanted):
            self._take(message)
        if self._clear_wanted and not self._engine.has_work():
            self._clear_cache()
        if self._engine.has_work():
            self._step()

    def _step(self) -> None:
        try:
            chunks = self._engine.step()
        except StepFailedError as failed:
            for sequence_id, sentence in failed.refused.items():
                self._channel.send(Refused(sequence_id, sentence))
            for sequence_id, sentence in failed.lost.items():
                self._channel.send(Lost(sequence_id, sentence))
            if failed.needs_clearing:
                self._clear_cache()
            return
        num_steps, self._steps_told = self._engine.num_steps - self._steps_told, self._engine.num_steps
        if chunks or num_steps:
            self._channel.send(Produced(chunks, num_steps))

    def _take(self, message: ToWorker) -> None:
        match message:
            case Generate(sequences):
                for request in sequences:
                    self._begin(request)
            case Cancel(sequence_ids):
                for sequence_id in sequence_ids:
                    self._cancel(sequence_id)
            case ClearCache():
                self._clear_wanted = True
            case Load():
                raise AssertionError("a worker loads once; a second model gets a second worker")

    def _begin(self, request: SequenceRequest) -> None:
        if self._clear_wanted:
            # What comes while the cache waits to be cleared waits too, or under steady load it never would be.
            self._held_back.append(request)
            return
        if not self._engine.has_work():
            self._steps_told = self._engine.num_steps  # some libraries count on while they rest
        try:
            self._channel.send(Begun(request.sequence_id, self._engine.begin(request)))
        except RequestRefusedError as error:
            self._channel.send(Refused(request.sequence_id, str(error)))

    def _cancel(self, sequence_id: int) -> None:
        self._held_back = deque(request for request in self._held_back if request.sequence_id != sequence_id)
        self._engine.cancel(sequence_id)

    def _clear_cache(self) -> None:
        self._channel.send(ClearingCache())
        before = resident_bytes(os.getpid())
        self._engine.clear_cache()
        self._steps_told = self._engine.num_steps
        return_free_memory()
        self._clear_wanted = False
        self._channel.send(CacheCleared(max(0, before - resident_bytes(os.getpid()))))
        while self._held_back:
            self._begin(self._held_back.popleft())


def serve(connection: socket.socket) -> int:
    """Load what the first message names, then run until the gateway closes; returns the exit code."""
    channel = Channel(connection)
    try:
        engine = _load(channel)
        if engine is None:
            return 1
        Worker(channel, engine).run()
    except GatewayGoneError:
        return 0
    return 0


def _load(channel: Channel) -> Engine | None:
    (load,) = channel.receive(wait=True)
    if not isinstance(load, Load):
        raise TypeError(f"the first message is {type(load).__name__}, expected Load")
    try:
        engine = build_engine(load.engine, Path(load.model_folder), load.options)
    except Exception as error:  # whatever a library raises becomes the sentence in the log
        channel.send(LoadFailed(f"{load.engine} could not load {load.model_folder}: {error}".strip()))
        return None
    channel.send(Loaded(num_threads=load.options.num_threads))
    return engine


if __name__ == "__main__":
    sys.exit(serve(socket.socket(fileno=int(sys.argv[1]))))
