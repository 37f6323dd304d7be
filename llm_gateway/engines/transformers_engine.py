"""Transformers' continuous batching behind the engine contract.

The library brings the scheduler, the paged KV cache, the prefix cache and chunked prefill, and computes in a thread of
its own. It samples one way for the whole batch, so it is told to be greedy, and one logits processor, the place that it
has for what differs between requests, does the sampling: it hands over scores whose greatest is the token it picked.
"""

import logging
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    ContinuousBatchingConfig,
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedModel,
)
from transformers.generation.continuous_batching.cache_allocators import CacheAllocator
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessorList,
)
from transformers.generation.continuous_batching.continuous_api import ContinuousBatchingManager
from transformers.generation.continuous_batching.requests import GenerationOutput
from transformers.utils.logging import disable_progress_bar

from llm_gateway.engines.base import RequestRefusedError, stopped_chunk
from llm_gateway.engines.transformers_sampling import LOGPROB_SCALE, MAX_STOPS_HELD_BACK, Sampler
from llm_gateway.generation import FinishReason, SequenceRequest, TokenChunk
from llm_gateway.workers.protocol import EngineOptions
from machine.cpu import usable_cpus

STEP_S = 0.05
"""How long a step waits for the library's thread, so that a long prefill keeps no message of the gateway waiting."""
PAGE_TOKENS = {"cpu": 32, "cuda": 256}
"""Tokens in one page of the KV cache, the grain of the prefix cache; flash attention reads multiples of 256."""

_DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}


@dataclass(slots=True)
class _Running:
    request: SequenceRequest
    sent: int = 0
    """How many of its tokens the gateway has."""


class TransformersEngine:
    """One model and one `ContinuousBatchingManager`, on a processor or on one NVIDIA GPU."""

    name = "transformers"

    def __init__(self, model_folder: Path, options: EngineOptions) -> None:
        _check(options)
        torch.set_num_threads(options.num_threads)
        self.device = options.device
        self._options = options
        self._model = _load(model_folder, options)
        self._vocabulary: int = self._model.config.get_text_config().vocab_size
        self._manager = self._start()
        self._running: dict[str, _Running] = {}
        self._keys: dict[int, str] = {}
        self._begun = 0
        # The library's thread is no daemon: without this one, which none is either, the process would never end.
        threading.Thread(target=self._stop_with_the_process, name="stop-with-the-process").start()

    def begin(self, request: SequenceRequest) -> int:
        room = self._room(request)
        cached = self._cached_tokens(request.prompt_token_ids)  # asked first: soon the prompt's own blocks are there
        self._begun += 1
        key = f"{request.sequence_id}.{self._begun}"  # a cancellation may be read after the next sequence of that id
        seed = request.sampling.seed
        self._manager.add_request(
            request.prompt_token_ids,
            request_id=key,
            max_new_tokens=min(request.max_tokens, room),
            streaming=True,
            eos_token_id=request.stop_token_ids,
            sequence=request,
            seed=secrets.randbits(63) if seed is None else seed,
        )
        self._running[key] = _Running(request)
        self._keys[request.sequence_id] = key
        return cached

    def cancel(self, sequence_id: int) -> None:
        key = self._keys.pop(sequence_id, None)
        if key is not None:
            del self._running[key]
            self._manager.cancel_request(key)

    @property
    def num_steps(self) -> int:
        """The batches that the library's thread has computed: a step here only waits for it, and shows no life."""
        return int(getattr(self._manager, "current_batch", 0))  # the thread sets it once it runs

    def has_work(self) -> bool:
        return bool(self._running)

    def step(self) -> list[TokenChunk]:
        latest = {output.request_id: output for output in self._results()}
        if not latest and not self._manager.is_running():
            raise RuntimeError("the library's thread has ended") from self._manager.background_thread_status.fatal_error
        return [self._chunk(output) for key, output in latest.items() if key in self._running]

    def clear_cache(self) -> None:
        # Stopping lets go of the cache, and on a GPU of what torch keeps for later; the new cache is as large at once.
        self._manager.stop(hard_stop=True)
        del self._manager
        self._manager = self._start()

    def _start(self) -> ContinuousBatchingManager:
        greedy = GenerationConfig(do_sample=False, eos_token_id=-1)
        manager = self._model.init_continuous_batching(greedy, _batching(self._options))
        config = manager.continuous_batching_config
        sampler = Sampler(
            config.max_requests_per_batch,
            self._vocabulary,
            self._model.device,
            in_graphs=any(config.cuda_graph_booleans),
        )
        manager.logit_processor = ContinuousBatchingLogitsProcessorList(LogitsProcessorList([sampler]))
        manager.logit_processor.tensors_required = 1  # the library lends every processor a row
        manager.warmup()
        manager.start()
        return manager

    def _stop_with_the_process(self) -> None:
        threading.main_thread().join()
        self._manager.stop(hard_stop=True)

    def _room(self, request: SequenceRequest) -> int:
        """How many tokens the sequence may grow by: the last one is never read, so it takes no place in the cache."""
        if request.grammar is not None:
            raise RequestRefusedError(
                "ENGINE=transformers cannot hold an answer to a format (a grammar); ENGINE=openvino can"
            )
        if request.min_tokens and len(request.stop_token_ids) > MAX_STOPS_HELD_BACK:
            raise RequestRefusedError(
                f"min_tokens goes with at most {MAX_STOPS_HELD_BACK} stop tokens, not {len(request.stop_token_ids)}"
            )
        if not request.prompt_token_ids:
            raise RequestRefusedError("the prompt has no tokens, and at least one is needed to continue from")
        if max(request.prompt_token_ids) >= self._vocabulary:  # the library's thread would end of it
            raise RequestRefusedError(f"the prompt has a token beyond the model's vocabulary of {self._vocabulary}")
        cache = self._manager.batch_processor.cache
        cache_tokens, prompt_tokens = int(cache.max_tokens_read), len(request.prompt_token_ids)
        if prompt_tokens > cache_tokens:
            raise RequestRefusedError(
                f"the prompt has {prompt_tokens} tokens, and the KV cache room for {cache_tokens}"
            )
        return cache_tokens + 1 - prompt_tokens

    def _cached_tokens(self, prompt: list[int]) -> int:
        """Ask the library's own table of blocks; it looks again when it comes to compute the prompt."""
        cache = self._manager.batch_processor.cache
        if not cache.use_prefix_sharing:
            return 0
        return min(_known_tokens(allocator, prompt) for allocator in cache.cache_allocators.values())

    def _results(self) -> Iterator[GenerationOutput]:
        output = self._manager.get_result(timeout=STEP_S)
        while output is not None:
            if output.error is not None:
                # It fails for all or, with an argument that it does not know, by a mistake of this module.
                raise RuntimeError(output.error)
            yield output
            output = self._manager.get_result(timeout=0)

    def _chunk(self, output: GenerationOutput) -> TokenChunk:
        running = self._running[output.request_id]
        request = running.request
        token_ids = output.generated_tokens[running.sent :]
        logprobs = None
        if request.logprobs:
            logprobs = [LOGPROB_SCALE * told for told in output.logprobs[running.sent :]]
        running.sent += len(token_ids)
        if not output.is_finished():
            return TokenChunk(request.sequence_id, token_ids, None, logprobs)
        del self._running[output.request_id], self._keys[request.sequence_id]
        if not token_ids or token_ids[-1] not in request.stop_token_ids:
            return TokenChunk(request.sequence_id, token_ids, FinishReason.LENGTH, logprobs)
        return stopped_chunk(request.sequence_id, token_ids, logprobs)


def _known_tokens(allocator: CacheAllocator, prompt: list[int]) -> int:
    return len(allocator.match_prefix_blocks(prompt)) * int(allocator.tokens_per_page)


def _check(options: EngineOptions) -> None:
    if options.kv_cache_precision == "u8":
        raise ValueError(
            "KV_CACHE_PRECISION is u8, and ENGINE=transformers keeps the cache as precise as it calculates"
        )
    if options.tensor_parallel_size > 1:
        raise ValueError(
            f"TENSOR_PARALLEL_SIZE is {options.tensor_parallel_size}, and ENGINE=transformers takes one GPU: set 1"
        )


def _load(model_folder: Path, options: EngineOptions) -> PreTrainedModel:
    disable_progress_bar()
    # It says so for every product of matrices that its 8-bit arithmetic rounds what goes in to 16 bits.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    model = AutoModelForCausalLM.from_pretrained(
        model_folder,
        dtype=_dtype(options),
        device_map={"": options.device},
        attn_implementation="sdpa",
        quantization_config=_quantization(options),
        use_safetensors=True,
        local_files_only=True,
    )
    return model.eval()


def _dtype(options: EngineOptions) -> torch.dtype:
    if options.inference_precision != "auto":
        return _DTYPES[options.inference_precision]
    if options.device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if usable_cpus().has_16_bit_arithmetic else torch.float32


def _quantization(options: EngineOptions) -> BitsAndBytesConfig | None:
    if options.quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    if options.quantization == "int4":
        return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=_dtype(options))
    return None


def _batching(options: EngineOptions) -> ContinuousBatchingConfig:
    """Numbers of the house as the library has them; what is left out it finds by itself, CUDA graphs among it.

    It uses graphs where flash attention is installed: without it, their padding costs more than they bring.
    """
    page = PAGE_TOKENS[options.device]
    return ContinuousBatchingConfig(
        page_size=page,
        num_blocks=options.kv_cache_tokens // page or None,
        max_batch_tokens=options.max_batched_tokens,
        max_requests_per_batch=min(options.max_num_seqs, options.max_batched_tokens),
        max_blocks_per_request=-(-options.context_tokens // page) or None if options.device == "cuda" else None,
        max_memory_percent=options.gpu_memory_utilization if options.device == "cuda" else 1.0,
        allow_block_sharing=options.prefix_caching,
        # Flash attention calculates in 16 bits alone, and the library does not ask.
        auto_switch_to_flash=options.device == "cuda" and _dtype(options) is not torch.float32,
        # The library's 8-bit product asks the GPU for outliers and waits for the answer, which no graph can hold.
        use_cuda_graph=False if options.quantization == "int8" else None,
        # With two batches under way, a step would begin before the tokens of the one before it are known here.
        use_async_batching=False,
        return_logprobs=True,
    )
