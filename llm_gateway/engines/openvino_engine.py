"""OpenVINO GenAI's continuous batching behind the engine contract.

The library brings the scheduler, the paged KV cache, the prefix cache and chunked prefill; this module translates.
`step()` holds the Python lock for as long as it computes, which is why an engine lives in a process of its own.
"""

import gc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import openvino as ov
import openvino_genai as ov_genai
from openvino_genai.py_openvino_genai import GenerationHandle, GenerationOutput

from llm_gateway.engines.base import RequestRefusedError, StepFailedError, stopped_chunk
from llm_gateway.engines.prefix_ledger import PrefixLedger
from llm_gateway.generation import FinishReason, SequenceRequest, TokenChunk
from llm_gateway.workers.protocol import EngineOptions

BLOCK_TOKENS = 32
"""Tokens in one block of the paged KV cache of OpenVINO's CPU plugin."""

_ACTIVATIONS_PER_SCALE = 128
"""INT8 weights are multiplied with activations that are quantized on the way, so many with one scale. The library's own
number, 32, is a little more exact, and a fifth slower in prefill and with several streams (docs/log.md)."""

_Finish = ov_genai.GenerationFinishReason
_FINISH = {_Finish.NONE: None, _Finish.STOP: FinishReason.STOP, _Finish.LENGTH: FinishReason.LENGTH}


@dataclass(frozen=True, slots=True)
class _Running:
    request: SequenceRequest
    handle: GenerationHandle
    token_ids: list[int]
    """What it has generated so far."""


class OpenVinoEngine:
    """One model in one `ContinuousBatchingPipeline` on the CPU."""

    name = "openvino"
    device = "cpu"

    def __init__(self, model_folder: Path, options: EngineOptions) -> None:
        self._model_folder = model_folder
        self._options = options
        self._pipeline = self._build_pipeline()
        self._running: dict[int, _Running] = {}
        self._cached = self._new_ledger()
        self.num_steps = 0

    def begin(self, request: SequenceRequest) -> int:
        prompt = ov.Tensor(np.array([request.prompt_token_ids], dtype=np.int64))
        try:
            handle = self._pipeline.add_request(request.sequence_id, prompt, generation_config(request))
        except RuntimeError as error:
            raise RequestRefusedError(f"the engine refused the request: {_last_line(error)}") from error
        self._running[request.sequence_id] = _Running(request, handle, [])
        return self._cached.known_tokens(request.prompt_token_ids)

    def cancel(self, sequence_id: int) -> None:
        running = self._running.get(sequence_id)
        if running is not None:
            running.handle.cancel()
            self._end(running, stopped=False)

    def has_work(self) -> bool:
        # A cancelled request keeps its blocks until a step has passed, so the pipeline is asked, not the dictionary.
        return bool(self._pipeline.has_non_finished_requests())

    def step(self) -> list[TokenChunk]:
        try:
            self._pipeline.step()
        except RuntimeError as error:
            self._end_all(error)
        self.num_steps += 1
        return [chunk for sequence_id in list(self._running) if (chunk := self._read(sequence_id)) is not None]

    def _end_all(self, error: RuntimeError) -> NoReturn:
        """End every sequence after a failed step, and have a new pipeline made: the old one raises from then on.

        Known to happen where it cannot read a grammar, which it looks at in the first step. Anything else is a bug that
        ends the process.
        """
        refused = {
            one.request.sequence_id for one in self._running.values() if one.request.grammar and not one.token_ids
        }
        if not refused:
            raise error
        lost = set(self._running) - refused
        self._running.clear()
        raise StepFailedError(
            dict.fromkeys(refused, f"the engine refused the answer's format: {_last_line(error)}"),
            dict.fromkeys(lost, "another request's format broke this one off; send it again"),
            needs_clearing=True,
        ) from error

    def clear_cache(self) -> None:
        # The library has no call for it: cached blocks live as long as the pipeline, and a new one loads in about the
        # time of the first.
        del self._pipeline
        gc.collect()
        self._pipeline = self._build_pipeline()
        self._cached = self._new_ledger()

    def _new_ledger(self) -> PrefixLedger:
        return PrefixLedger(_num_blocks(self._options) if self._options.prefix_caching else 0, BLOCK_TOKENS)

    def _build_pipeline(self) -> ov_genai.ContinuousBatchingPipeline:
        return build_pipeline(self._model_folder, self._options, plugin_properties(self._options))

    def _read(self, sequence_id: int) -> TokenChunk | None:
        running = self._running[sequence_id]
        if running.handle.can_read():
            (output,) = running.handle.read().values()
            chunk = _chunk(running.request, output)
        elif running.handle.get_status() == ov_genai.GenerationStatus.IGNORED:
            # The whole KV cache is too small for this one sequence, which ends as it does at any other limit of length.
            chunk = TokenChunk(sequence_id, [], FinishReason.LENGTH)
        else:
            return None
        running.token_ids.extend(chunk.token_ids)
        if chunk.finish is not None:
            self._end(running, stopped=chunk.stop_token_id is not None)
        return chunk

    def _end(self, running: _Running, *, stopped: bool) -> None:
        del self._running[running.request.sequence_id]
        if running.token_ids or stopped:  # else its prompt may not have been computed to its end
            # The last token was never read by the model, only written.
            read = running.token_ids if stopped else running.token_ids[:-1]
            self._cached.add(running.request.prompt_token_ids + read)


def build_pipeline(
    model_folder: Path, options: EngineOptions, properties: Mapping[str, object]
) -> ov_genai.ContinuousBatchingPipeline:
    """Construct the library's pipeline; `properties` are the CPU plugin's, `plugin_properties(options)` for serving."""
    scheduler = ov_genai.SchedulerConfig()
    scheduler.num_kv_blocks = _num_blocks(options)
    scheduler.max_num_seqs = options.max_num_seqs
    scheduler.max_num_batched_tokens = options.max_batched_tokens
    scheduler.dynamic_split_fuse = options.chunked_prefill
    scheduler.enable_prefix_caching = options.prefix_caching
    return ov_genai.ContinuousBatchingPipeline(str(model_folder), scheduler, "CPU", properties)


def _chunk(request: SequenceRequest, output: GenerationOutput) -> TokenChunk:
    token_ids, finish = list(output.generated_ids), _FINISH[output.finish_reason]
    logprobs = list(output.generated_log_probs) if request.logprobs else None
    if finish is not FinishReason.STOP or not token_ids or token_ids[-1] not in request.stop_token_ids:
        return TokenChunk(request.sequence_id, token_ids, finish, logprobs)
    return stopped_chunk(request.sequence_id, token_ids, logprobs)


def _num_blocks(options: EngineOptions) -> int:
    return max(1, options.kv_cache_tokens // BLOCK_TOKENS)


def plugin_properties(options: EngineOptions) -> dict[str, object]:
    """Return what these options mean to the CPU plugin, in its own names."""
    properties: dict[str, object] = {
        "INFERENCE_NUM_THREADS": options.num_threads,
        "KV_CACHE_PRECISION": options.kv_cache_precision,
    }
    if options.inference_precision != "auto":
        properties["INFERENCE_PRECISION_HINT"] = options.inference_precision
    if options.quantization == "int8":
        properties["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = _ACTIVATIONS_PER_SCALE
    return properties


def generation_config(request: SequenceRequest) -> ov_genai.GenerationConfig:
    """Return what a request means to the library."""
    sampling = request.sampling
    config = ov_genai.GenerationConfig()
    config.max_new_tokens = request.max_tokens
    config.min_new_tokens = request.min_tokens
    config.logprobs = 1 if request.logprobs else 0
    config.repetition_penalty = sampling.repetition_penalty
    config.presence_penalty = sampling.presence_penalty
    config.frequency_penalty = sampling.frequency_penalty
    config.apply_chat_template = False
    config.stop_token_ids = set(request.stop_token_ids)
    config.ignore_eos = not request.stop_token_ids
    if request.grammar is not None:
        config.structured_output_config = ov_genai.StructuredOutputConfig(grammar=request.grammar)
    if not sampling.greedy:
        config.do_sample = True
        config.temperature = sampling.temperature
        config.top_p = sampling.top_p
        config.min_p = sampling.min_p
        if sampling.top_k:
            config.top_k = sampling.top_k
        if sampling.seed is not None:
            config.rng_seed = sampling.seed
    return config


def _last_line(error: Exception) -> str:
    """The library's messages are a failed check, where it stands in its source, and then the sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
