"""vLLM behind the engine contract: its synchronous `LLMEngine`, whose scheduler runs in this process and this thread.

Each of its steps is the one that the asynchronous engine has computed by a process of its own, continuous batching and
all (Kwon et al., 2023, arXiv:2309.06180); a worker is such a process already. vLLM reads variables while it is
imported, which `workers/process.py` sets: without `VLLM_ENABLE_V1_MULTIPROCESSING=0` a CPU build computes in a further
process. Its state is the process's own: once an engine is gone, neither it nor another one can be used there.
"""

import secrets
import time
from pathlib import Path

import torch
from vllm import SamplingParams
from vllm.config import VllmConfig
from vllm.engine.arg_utils import EngineArgs
from vllm.exceptions import VLLMClientError
from vllm.inputs import tokens_input
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.engine.llm_engine import LLMEngine
from vllm.v1.executor import Executor

from llm_gateway.engines.base import RequestRefusedError, StepFailedError, stopped_chunk
from llm_gateway.generation import FinishReason, Sampling, SequenceRequest, TokenChunk
from llm_gateway.workers.protocol import EngineOptions

CPU_BLOCK_TOKENS = 32
"""Tokens in one block of the KV cache on a CPU, whose attention wants a multiple of 32; a GPU has vLLM's own choice."""

_DTYPES = {"auto": "auto", "bf16": "bfloat16", "f16": "float16", "f32": "float32"}
_KV_CACHE_BYTES = {"bf16": 2, "f16": 2, "f32": 4}
_FINISH = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}
_COMPILING_WAIT_S = 0.001
_NUM_SEEDS = 1 << 63
"""As many as every sampler of vLLM takes; -1 would mean none."""


class VllmEngine:
    """One model in one `LLMEngine`, on the device that the installed vLLM was built for."""

    name = "vllm"

    def __init__(self, model_folder: Path, options: EngineOptions) -> None:
        _check_options(options)
        self.device = options.device
        self._engine = _load(_engine_args(model_folder, options), options)
        self._scheduler: Scheduler = self._engine.engine_core.engine_core.scheduler
        self._running: dict[int, SequenceRequest] = {}
        self._failed: dict[int, str] = {}
        """Sequences that vLLM gave up, each with a sentence, until the next step reports them."""
        self._compiling: set[int] = set()
        """Sequences with a grammar that have produced nothing yet."""
        self.num_steps = 0

    def begin(self, request: SequenceRequest) -> int:
        if request.grammar is not None and request.min_tokens:
            raise RequestRefusedError(
                f"min_tokens is {request.min_tokens} and the answer has a format, which may be complete before; vLLM "
                "cannot hold both, leave out one of them"
            )
        try:
            vllm_id = self._engine.add_request(
                str(request.sequence_id), tokens_input(request.prompt_token_ids), _sampling_params(request)
            )
        except (VLLMClientError, ValueError, RuntimeError) as error:
            self._engine.abort_request([str(request.sequence_id)])  # it may have been noted in part
            raise RequestRefusedError(f"the engine refused the request: {_sentence(error)}") from error
        self._running[request.sequence_id] = request
        if request.grammar is not None:
            self._compiling.add(request.sequence_id)
        return self._cached_tokens(vllm_id)

    def cancel(self, sequence_id: int) -> None:
        self._failed.pop(sequence_id, None)
        if self._running.pop(sequence_id, None) is not None:
            self._compiling.discard(sequence_id)
            self._engine.abort_request([str(sequence_id)])

    def has_work(self) -> bool:
        return bool(self._running or self._failed)

    def step(self) -> list[TokenChunk]:
        if self._failed:
            failed, self._failed = self._failed, {}
            raise StepFailedError(failed, {})
        chunks = [chunk for output in self._engine.step() if (chunk := self._read(output)) is not None]
        if chunks or self._scheduler.running:  # else it computed nothing, and waits for what may never be compiled
            self.num_steps += 1
        if self._compiling and not chunks:
            # A grammar is compiled in a thread of vLLM's, which an empty loop would keep from the Python lock.
            time.sleep(_COMPILING_WAIT_S)
        return chunks

    def clear_cache(self) -> None:
        # The KV cache stays as large: vLLM takes all of it at the start and gives it back with the process.
        if not self._engine.reset_prefix_cache():
            raise RuntimeError(
                "vLLM kept its prefix cache, expected that nothing uses it while no sequence is under way"
            )
        if self.device == "cuda":
            torch.cuda.empty_cache()  # what torch keeps of a GPU for later

    def _cached_tokens(self, vllm_id: str) -> int:
        """Ask what the scheduler will ask when the sequence's turn comes; others may change the answer until then."""
        manager, request = self._scheduler.kv_cache_manager, self._scheduler.requests[vllm_id]
        _, cached_tokens, _ = manager.get_computed_blocks(request)
        return int(cached_tokens)

    def _read(self, output: RequestOutput) -> TokenChunk | None:
        sequence_id = int(output.request_id)
        request = self._running[sequence_id]
        (completion,) = output.outputs
        self._compiling.discard(sequence_id)
        if output.finished:
            del self._running[sequence_id]
            if completion.finish_reason not in _FINISH:
                self._failed[sequence_id] = _why_it_failed(request, completion)
                return None
        return _chunk(request, completion)


def _chunk(request: SequenceRequest, completion: CompletionOutput) -> TokenChunk:
    token_ids = list(completion.token_ids)
    finish = None if completion.finish_reason is None else _FINISH[completion.finish_reason]
    logprobs = _logprobs(completion) if request.logprobs else None
    if finish is not FinishReason.STOP:
        return TokenChunk(request.sequence_id, token_ids, finish, logprobs)
    return stopped_chunk(request.sequence_id, token_ids, logprobs)


def _logprobs(completion: CompletionOutput) -> list[float]:
    by_token = completion.logprobs or []
    return [place[token_id].logprob for token_id, place in zip(completion.token_ids, by_token, strict=True)]


def _why_it_failed(request: SequenceRequest, completion: CompletionOutput) -> str:
    if request.grammar is not None:
        return "the engine could not hold the answer to its format; simplify the format"
    return f"the engine gave the sequence up and says only {completion.finish_reason!r}; send it again"


def _sampling_params(request: SequenceRequest) -> SamplingParams:
    grammar = None if request.grammar is None else StructuredOutputsParams(grammar=request.grammar)
    return SamplingParams(
        max_tokens=request.max_tokens,
        # vLLM forbids the end of turn until then, even where it ends nothing.
        min_tokens=min(request.min_tokens, request.max_tokens) if request.stop_token_ids else 0,
        stop_token_ids=request.stop_token_ids,
        # A finished grammar allows nothing but the end of turn, and after that vLLM would let go of the answer.
        ignore_eos=grammar is None,
        logprobs=0 if request.logprobs else None,
        structured_outputs=grammar,
        detokenize=False,
        output_kind=RequestOutputKind.DELTA,
        repetition_penalty=request.sampling.repetition_penalty,
        presence_penalty=request.sampling.presence_penalty,
        frequency_penalty=request.sampling.frequency_penalty,
        temperature=request.sampling.temperature,
        **_random_sampling(request.sampling),
    )


def _random_sampling(sampling: Sampling) -> dict[str, float | int | None]:
    if sampling.greedy:
        return {}
    return {
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "seed": None if sampling.seed is None else sampling.seed % _NUM_SEEDS,
    }


def _check_options(options: EngineOptions) -> None:
    """Refuse what this vLLM cannot do.

    Raises:
        ValueError: one sentence for the log.
    """
    if current_platform.is_cpu() != (options.device == "cpu"):
        raise ValueError(
            f"the device is {options.device!r}, but the installed vLLM was built for {current_platform.device_type!r}; "
            "install the vLLM for that device or choose the device it has"
        )
    if options.device == "cpu" and options.tensor_parallel_size != 1:
        raise ValueError(
            f"TENSOR_PARALLEL_SIZE is {options.tensor_parallel_size}, but only GPUs can share one model; set it to 1"
        )
    if options.quantization != "none":
        raise ValueError(
            f"QUANTIZATION is {options.quantization!r}, but vLLM has no such compression of published weights; "
            "use none, a model whose weights are published compressed, or ENGINE=transformers"
        )


def _check_kv_cache(config: VllmConfig, options: EngineOptions) -> None:
    """Refuse a KV cache of another size per token than was planned: vLLM keeps it in the precision it computes in.

    Raises:
        ValueError: one sentence for the log.
    """
    dtype = config.model_config.dtype
    if _KV_CACHE_BYTES.get(options.kv_cache_precision) != dtype.itemsize:
        raise ValueError(
            f"the KV cache was planned in {options.kv_cache_precision}, but vLLM keeps it as it computes, in "
            f"{str(dtype).removeprefix('torch.')}; set INFERENCE_PRECISION to what the model is to be computed in"
        )


def _engine_args(model_folder: Path, options: EngineOptions) -> EngineArgs:
    args = EngineArgs(
        model=str(model_folder),
        load_format="safetensors",
        language_model_only=True,
        dtype=_DTYPES[options.inference_precision],
        max_model_len=options.context_tokens or None,
        max_num_seqs=options.max_num_seqs,
        max_num_batched_tokens=options.max_batched_tokens,
        enable_prefix_caching=options.prefix_caching,
        enable_chunked_prefill=True,
        gpu_memory_utilization=options.gpu_memory_utilization,
        tensor_parallel_size=options.tensor_parallel_size,
        # The gateway says what ends a sequence and how it is sampled; the model's own wishes have been read by then.
        generation_config="vllm",
        structured_outputs_config={"backend": "xgrammar"},
        # Requests without a seed draw from one generator, which would otherwise begin alike at every start.
        seed=secrets.randbits(31),
        disable_log_stats=True,
    )
    if options.device == "cpu":
        # Compiling gains little here: the time goes into the matrix products.
        args.enforce_eager = True
        args.block_size = CPU_BLOCK_TOKENS
        # Naming any size keeps vLLM from planning with a share of all memory; the number of blocks then decides, of
        # which vLLM holds one back.
        args.kv_cache_memory_bytes = 1
        args.num_gpu_blocks_override = -(-options.kv_cache_tokens // CPU_BLOCK_TOKENS) + 1
    return args


def _load(args: EngineArgs, options: EngineOptions) -> LLMEngine:
    if options.device == "cpu":
        # Else the first request with logprobs is when vLLM compiles what ranks them: all sequences wait for it, and
        # where there is no C++ compiler the step fails.
        torch.compiler.set_stance("force_eager")
    config = args.create_engine_config()
    _check_kv_cache(config, options)
    return LLMEngine(config, Executor.get_class(config), log_stats=False, multiprocess_mode=False)


def _sentence(error: Exception) -> str:
    """Of vLLM's messages the first line is the sentence; its own errors add the key and the value when printed."""
    message = str(error.args[0]) if error.args else ""
    return message.strip().partition("\n")[0] or type(error).__name__
