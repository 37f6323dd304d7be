"""An engine that computes nothing: it repeats the prompt at a chosen rate, for tests and for measuring the gateway.

It is used only where `ENGINE=fake` says so by name. `FAKE_ENGINE` sets its knobs, for example
`tokens_per_s=200,load_s=2,fail_load=1,die_after_steps=9,stall_after_steps=9,stop_at_eos=1`: tokens per second of each
sequence, seconds that loading takes, whether loading fails, after how many steps the process ends as a crash in native
code would, after how many a step begins that never ends, and whether a sequence ends where the prompt has an
end-of-turn token, so that a prompt can say what the answer is to be.
"""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from llm_gateway.engines.base import RequestRefusedError
from llm_gateway.generation import FinishReason, SequenceRequest, TokenChunk
from llm_gateway.workers.protocol import EngineOptions


@dataclass(frozen=True, slots=True)
class FakeKnobs:
    """What can be chosen; the defaults are an engine that is as fast as the loop around it."""

    tokens_per_s: float = 0
    """0 means as many as can be."""
    load_s: float = 0
    fail_load: bool = False
    die_after_steps: int = 0
    """0 means never."""
    stall_after_steps: int = 0
    """0 means never."""
    stop_at_eos: bool = False

    @classmethod
    def parse(cls, text: str) -> "FakeKnobs":
        """Read `name=value,name=value`.

        Raises:
            ValueError: a name is unknown or a value is not a number.
        """
        pairs = dict(pair.split("=", 1) for pair in text.split(",") if pair.strip())
        try:
            return cls(
                tokens_per_s=float(pairs.pop("tokens_per_s", 0)),
                load_s=float(pairs.pop("load_s", 0)),
                fail_load=bool(int(pairs.pop("fail_load", 0))),
                die_after_steps=int(pairs.pop("die_after_steps", 0)),
                stall_after_steps=int(pairs.pop("stall_after_steps", 0)),
                stop_at_eos=bool(int(pairs.pop("stop_at_eos", 0))),
            )
        finally:
            if pairs:
                raise ValueError(f"FAKE_ENGINE has {sorted(pairs)}, expected {', '.join(cls.__slots__)}")


class FakeEngine:
    """Answers with the prompt's own tokens, over and over, so that the text is text."""

    name = "fake"
    device = "cpu"

    def __init__(self, model_folder: Path, options: EngineOptions) -> None:
        self._knobs = FakeKnobs.parse(options.fake)
        time.sleep(self._knobs.load_s)
        if self._knobs.fail_load:
            raise RuntimeError(f"FAKE_ENGINE says fail_load, so {model_folder.name} is not loaded")
        self._running: dict[int, SequenceRequest] = {}
        self._produced: dict[int, int] = {}
        self.num_steps = 0

    def begin(self, request: SequenceRequest) -> int:
        if request.grammar is not None:
            raise RequestRefusedError("the fake engine cannot hold an answer to a grammar; ENGINE=openvino can")
        self._running[request.sequence_id] = request
        self._produced[request.sequence_id] = 0
        return 0

    def cancel(self, sequence_id: int) -> None:
        self._running.pop(sequence_id, None)
        self._produced.pop(sequence_id, None)

    def has_work(self) -> bool:
        return bool(self._running)

    def step(self) -> list[TokenChunk]:
        if self._knobs.die_after_steps and self.num_steps >= self._knobs.die_after_steps:
            os.abort()
        if self._knobs.stall_after_steps and self.num_steps >= self._knobs.stall_after_steps:
            threading.Event().wait()
        if self._knobs.tokens_per_s:
            time.sleep(1 / self._knobs.tokens_per_s)
        self.num_steps += 1
        return [self._next(request) for request in list(self._running.values())]

    def clear_cache(self) -> None:
        """There is none."""

    def _next(self, request: SequenceRequest) -> TokenChunk:
        produced = self._produced[request.sequence_id]
        token_id = request.prompt_token_ids[produced % len(request.prompt_token_ids)]
        if self._knobs.stop_at_eos and token_id in request.stop_token_ids:
            self.cancel(request.sequence_id)
            return TokenChunk(
                request.sequence_id, [], FinishReason.STOP, None, token_id, 0.0 if request.logprobs else None
            )
        self._produced[request.sequence_id] = produced + 1
        logprobs = [0.0] if request.logprobs else None
        if produced + 1 < request.max_tokens:
            return TokenChunk(request.sequence_id, [token_id], None, logprobs)
        self.cancel(request.sequence_id)
        return TokenChunk(request.sequence_id, [token_id], FinishReason.LENGTH, logprobs)
