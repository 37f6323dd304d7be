"""Two ways to drive the same pipeline: by its own interface, and behind our engine's contract.

The first is what anyone would write who uses the library: add requests, step, read every handle that can be read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import openvino as ov
import openvino_genai as ov_genai
from openvino_genai.py_openvino_genai import GenerationHandle

from benchmarks.engine.setup import Setup
from llm_gateway.engines.openvino_engine import OpenVinoEngine, build_pipeline, generation_config, plugin_properties
from llm_gateway.generation import Sampling, SequenceRequest


@dataclass(frozen=True, slots=True)
class Gain:
    """What one sequence gained in one step."""

    sequence: int
    num_tokens: int
    ended: bool


class Driver(Protocol):
    """A loaded model that decodes greedily, past every stop token."""

    def begin(self, prompt: Sequence[int], output_tokens: int) -> int: ...
    def step(self) -> list[Gain]: ...
    def has_work(self) -> bool: ...
    def cancel(self, sequence: int) -> None: ...


def load(setup: Setup) -> Driver:
    """Construct the pipeline."""
    return RawDriver(setup) if setup.driver == "raw" else ContractDriver(setup)


class RawDriver:
    """The library by itself."""

    def __init__(self, setup: Setup) -> None:
        properties = plugin_properties(setup.options) | dict(setup.properties)
        self._pipeline = build_pipeline(setup.folder, setup.options, properties)
        self._handles: dict[int, GenerationHandle] = {}
        self._next = 0

    def begin(self, prompt: Sequence[int], output_tokens: int) -> int:
        self._next += 1
        request = _request(self._next, prompt, output_tokens)
        ids = ov.Tensor(np.array([prompt], dtype=np.int64))
        self._handles[self._next] = self._pipeline.add_request(self._next, ids, generation_config(request))
        return self._next

    def step(self) -> list[Gain]:
        self._pipeline.step()
        gains = []
        for sequence, handle in list(self._handles.items()):
            if handle.can_read():
                (output,) = handle.read().values()
                ended = output.finish_reason != ov_genai.GenerationFinishReason.NONE
                gains.append(Gain(sequence, len(output.generated_ids), ended))
                if ended:
                    del self._handles[sequence]
        return gains

    def has_work(self) -> bool:
        return bool(self._pipeline.has_non_finished_requests())

    def cancel(self, sequence: int) -> None:
        self._handles.pop(sequence).cancel()


class ContractDriver:
    """Our engine, as the worker uses it."""

    def __init__(self, setup: Setup) -> None:
        self._engine = _TunedEngine(setup)
        self._next = 0

    def begin(self, prompt: Sequence[int], output_tokens: int) -> int:
        self._next += 1
        self._engine.begin(_request(self._next, prompt, output_tokens))
        return self._next

    def step(self) -> list[Gain]:
        chunks = self._engine.step()
        return [Gain(chunk.sequence_id, len(chunk.token_ids), chunk.finish is not None) for chunk in chunks]

    def has_work(self) -> bool:
        return self._engine.has_work()

    def cancel(self, sequence: int) -> None:
        self._engine.cancel(sequence)


class _TunedEngine(OpenVinoEngine):
    """The engine with properties of the plugin that no option stands for."""

    def __init__(self, setup: Setup) -> None:
        self._more = dict(setup.properties)
        super().__init__(setup.folder, setup.options)

    def _build_pipeline(self) -> ov_genai.ContinuousBatchingPipeline:
        return build_pipeline(self._model_folder, self._options, plugin_properties(self._options) | self._more)


def _request(sequence: int, prompt: Sequence[int], output_tokens: int) -> SequenceRequest:
    return SequenceRequest(
        sequence_id=sequence,
        prompt_token_ids=list(prompt),
        max_tokens=output_tokens,
        sampling=Sampling(temperature=0),
        stop_token_ids=[],
    )
