"""A worker without its process, which a test moves turn by turn."""

import socket

import msgspec

from llm_gateway.engines.base import Engine
from llm_gateway.workers.main import Channel, Worker
from llm_gateway.workers.protocol import FrameReader, ToGateway, ToWorker, to_frame


class Workplace:
    """A worker that takes one turn at a time, and the gateway's end of its socket."""

    def __init__(self, engine: Engine) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.engine = engine
        self.worker = Worker(Channel(self.theirs), engine)
        self._frames = FrameReader()
        self._decoder = msgspec.msgpack.Decoder(ToGateway)

    def tell(self, message: ToWorker) -> None:
        self.ours.sendall(to_frame(message))

    def turn(self) -> list[ToGateway]:
        """Let it take one turn and return what it said."""
        self.worker.turn()
        return [self._decoder.decode(body) for body in self._frames.feed(self.ours.recv(1 << 20))]

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()
