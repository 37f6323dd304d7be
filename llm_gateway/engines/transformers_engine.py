"""Transformers' continuous batching behind the engine contract.

The library brings the scheduler, the paged KV cache, the prefix cache and chunked prefill, and computes in a thread of
its own. It samples one way for the whole batch, so it is told to be greedy, and one logits processor, the place that it
has for what differs between requests, does the sampling: it hands over scores whose greatest is the token it picked.
"""

import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from struct import Struct

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
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
)
from transformers.generation.continuous_batching.continuous_api import ContinuousBatchingManager
from transformers.generation.continuous_batching.requests import FutureRequestState, GenerationOutput, RequestState
from transformers.utils.logging import disable_progress_bar

from llm_gateway.engines.base import RequestRefusedError
from llm_gateway.generation import FinishReason, SequenceRequest, TokenChunk
from llm_gateway.workers.protocol import EngineOptions
from machine.cpu import usable_cpus

STEP_S = 0.05
"""How long a step waits for the library's thread, so that a long prefill keeps no message of the gateway waiting."""
PAGE_TOKENS = {"cpu": 32, "cuda": 256}
"""Tokens in one page of the KV cache, the grain of the prefix cache; flash attention reads multiples of 256."""
MAX_STOPS_HELD_BACK = 16
"""Most stop tokens of a sequence that has a least number of tokens."""
CANDIDATES = 1024
"""Among how many of the likeliest tokens a processor looks first for where top_k and top_p end."""
LOGPROB_SCALE = 64.0
LEAST_LOGPROB = -44.0
"""Less than this cannot be reported; it is a probability of 1e-19."""
NOBODY = 0
"""The row of counts that stay zero."""

_NEVER = -torch.inf
_TWO_WORDS = Struct("<ii")
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
        sampler = _Sampler(
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
        return TokenChunk(
            request.sequence_id,
            token_ids[:-1],
            FinishReason.STOP,
            None if logprobs is None else logprobs[:-1],
            token_ids[-1],
            None if logprobs is None else logprobs[-1],
        )


def _known_tokens(allocator: CacheAllocator, prompt: list[int]) -> int:
    return len(allocator.match_prefix_blocks(prompt)) * int(allocator.tokens_per_page)


class _Sampler(ContinuousBatchingLogitsProcessor):  # type: ignore[misc]
    """Samples every sequence of a batch its own way, from its own seed.

    A token is drawn by adding noise to the logits and taking the greatest (the Gumbel-max trick; Maddison et al., 2014,
    arXiv:1411.0030). The noise is a function of seed, position and token, so that a seed gives the same answer whoever
    else is in the batch. Without CUDA graphs, what nobody in the batch asks for is not computed; within them everything
    is, since a graph replays what was computed once, from tensors that stay where they are.
    """

    supported_kwargs = {"sequence": SequenceRequest, "seed": int}  # noqa: RUF012  the library's own declaration
    ignored_kwargs = ()

    def __init__(self, rows: int, vocabulary: int, device: torch.device, *, in_graphs: bool) -> None:
        self._vocabulary = vocabulary
        self._device = device
        self._in_graphs = in_graphs
        self._wanted = _Wanted(in_graphs, in_graphs, in_graphs, in_graphs, in_graphs)
        self._counts = _TokenCounts(rows, vocabulary, device)
        self._rows = [
            torch.zeros(rows, 6, device=device),
            torch.zeros(rows, 4, dtype=torch.int32, device=device),
            torch.zeros(rows, MAX_STOPS_HELD_BACK, dtype=torch.int64, device=device),
            torch.zeros(rows, MAX_STOPS_HELD_BACK, device=device),
        ]

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_with_new_token: list[FutureRequestState]) -> torch.Tensor:
        """Write down what the next step needs of each sequence; the step before it is over, so nobody reads."""
        rows = [self._row(future.state) for future in requests_with_new_token]
        if rows:
            for kept, new in zip(self._rows, zip(*rows, strict=True), strict=True):
                kept[: len(rows)].copy_(torch.tensor(new, dtype=kept.dtype))
        if not self._in_graphs:
            self._wanted = _Wanted.by_any([future.state for future in requests_with_new_token])
        if self._device.type == "cuda":
            torch.cuda.current_stream().synchronize()  # the step is computed on a stream of its own
        return torch.zeros(0, dtype=torch.int32)

    def _row(self, state: RequestState) -> tuple[list[float], list[int], list[int], list[float]]:
        request: SequenceRequest | None = state.logit_processor_kwargs.get("sequence")
        nobody = [0] * MAX_STOPS_HELD_BACK
        if request is None:  # one of the library's own, while it warms up
            return [0.0, 1.0, 0.0, 1.0, 0.0, 0.0], [0] * 4, nobody, [0.0] * MAX_STOPS_HELD_BACK
        sampling, seed = request.sampling, state.logit_processor_kwargs["seed"]
        waits = _answer_length(state, request) < request.min_tokens
        held_back = [token_id for token_id in request.stop_token_ids if waits and token_id < self._vocabulary]
        spare = MAX_STOPS_HELD_BACK - len(held_back)
        return (
            [
                sampling.temperature,
                sampling.top_p,
                sampling.min_p,
                sampling.repetition_penalty,
                sampling.presence_penalty,
                sampling.frequency_penalty,
            ],
            [
                min(sampling.top_k, self._vocabulary),
                self._counts.row_of(state, request) if _penalised(request) else NOBODY,
                *_keys(seed, state.position_offset),
            ],
            held_back + nobody[:spare],
            [_NEVER] * len(held_back) + [0.0] * spare,
        )

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        floats, integers, stops, held_back = (kept[: scores.size(0)] for kept in self._rows)
        temperature, top_p, min_p, *penalties = floats.split(1, dim=1)
        top_k, counted, keys = integers.split((1, 1, 2), dim=1)
        logits = scores
        if self._wanted.penalties:
            logits = self._counts.penalise(logits, counted.squeeze(1).long(), *penalties)
        if self._wanted.held_back:
            logits = logits.scatter_add(1, stops, held_back)
        picked = logits.argmax(dim=1, keepdim=True)
        if self._wanted.drawing:
            greedy = temperature == 0
            warm = logits / torch.where(greedy, 1.0, temperature)
            if self._wanted.cutting:
                warm = warm.masked_fill(warm < self._floor(warm, top_k.long(), top_p, min_p), _NEVER)
            noise = _gumbel(keys, scores.size(1))
            picked = torch.where(greedy, picked, (warm + noise).argmax(dim=1, keepdim=True))
        return _tell(picked, scores, with_logprob=self._wanted.logprobs)

    def _floor(
        self, logits: torch.Tensor, top_k: torch.Tensor, top_p: torch.Tensor, min_p: torch.Tensor
    ) -> torch.Tensor:
        """Find the least logit of each sequence that may still be drawn; all arguments but the logits are columns."""
        vocabulary = logits.size(1)
        if not self._in_graphs and vocabulary > CANDIDATES:
            floor, found = _floor_among(logits.topk(CANDIDATES).values, logits, top_k, top_p, min_p)
            if bool(found.all()):
                return floor
        return _floor_among(logits.sort(dim=1, descending=True).values, logits, top_k, top_p, min_p)[0]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What anybody in a batch asks for."""

    drawing: bool
    cutting: bool
    penalties: bool
    held_back: bool
    logprobs: bool

    @classmethod
    def by_any(cls, states: list[RequestState]) -> "_Wanted":
        requests: list[SequenceRequest] = [state.logit_processor_kwargs["sequence"] for state in states]
        drawn = [request.sampling for request in requests if not request.sampling.greedy]
        return cls(
            drawing=bool(drawn),
            cutting=any(one.top_k or one.top_p < 1 or one.min_p for one in drawn),
            penalties=any(map(_penalised, requests)),
            held_back=any(request.min_tokens for request in requests),
            logprobs=any(request.logprobs for request in requests),
        )


class _TokenCounts:
    """How often each penalised sequence has had each token; who has waited longest gives way, and is counted anew."""

    def __init__(self, rows: int, vocabulary: int, device: torch.device) -> None:
        self._size = (rows + 1, vocabulary)
        self._counted: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """By request: its row, and how many tokens of its answer are in it."""
        self._generated = torch.zeros(self._size, dtype=torch.int32, device=device)
        self._seen = torch.zeros(self._size, dtype=torch.bool, device=device)
        """In the prompt or the answer."""

    def row_of(self, state: RequestState, request: SequenceRequest) -> int:
        """Bring a sequence's counts up to date and return where they are."""
        # The library moves the answer of a sequence that it puts off to the end of its prompt.
        answer = state.initial_tokens[len(request.prompt_token_ids) :] + state.generated_tokens
        row, counted = self._counted.pop(state.request_id, (NOBODY, 0))
        if row == NOBODY:
            row = self._free_row()
            self._generated[row] = 0
            self._seen[row] = False
            self._seen[row, request.prompt_token_ids] = True
        new = torch.tensor(answer[counted:], dtype=torch.int64, device=self._seen.device)
        self._generated[row].index_add_(0, new, torch.ones_like(new, dtype=torch.int32))
        self._seen[row, new] = True
        self._counted[state.request_id] = (row, len(answer))
        return row

    def _free_row(self) -> int:
        if len(self._counted) + 1 < self._size[0]:
            return len(self._counted) + 1
        _, (row, _) = self._counted.popitem(last=False)
        return row

    def penalise(
        self,
        logits: torch.Tensor,
        rows: torch.Tensor,
        repetition: torch.Tensor,
        presence: torch.Tensor,
        frequency: torch.Tensor,
    ) -> torch.Tensor:
        """Repetition (Keskar et al., 2019, arXiv:1909.05858) over prompt and answer, the other two over the answer."""
        repeated = torch.where(logits > 0, logits / repetition, logits * repetition)
        logits = torch.where(self._seen[rows], repeated, logits)
        generated = self._generated[rows]
        return logits - presence * (generated > 0) - frequency * generated


def _floor_among(
    ranked: torch.Tensor, logits: torch.Tensor, top_k: torch.Tensor, top_p: torch.Tensor, min_p: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the floor in the greatest of the logits, in falling order; the second column says where it is not cut off.

    top_k comes first, then top_p of what it left (Holtzman et al., 2020, arXiv:1904.09751), then min_p (Nguyen et al.,
    2024, arXiv:2407.01082).
    """
    width, complete = ranked.size(1), ranked.size(1) == logits.size(1)
    shares = (ranked - logits.logsumexp(dim=1, keepdim=True)).exp()
    mass = shares.cumsum(dim=1)
    last = torch.where(top_k > 0, top_k, logits.size(1)).clamp(max=width) - 1
    whole = torch.where(top_k > 0, mass.gather(1, last), 1.0)
    nucleus = (mass - shares < top_p * whole).sum(dim=1, keepdim=True).clamp(min=1)
    by_k = torch.where(top_k > 0, ranked.gather(1, last), _NEVER)
    by_p = torch.where(top_p < 1, ranked.gather(1, nucleus - 1), _NEVER)
    found = (top_k <= width) & ((top_p >= 1) | (nucleus < width) | complete)
    return torch.maximum(torch.maximum(by_k, by_p), ranked[:, :1] + min_p.log()), found


def _gumbel(keys: torch.Tensor, vocabulary: int) -> torch.Tensor:
    """Standard Gumbel noise for each token, a row for each pair of keys."""
    first, second = keys.split(1, dim=1)
    tokens = torch.arange(vocabulary, dtype=torch.int32, device=keys.device)
    bits = _mixed(_mixed(tokens ^ first) ^ second) & 0x7FFFFFFF
    # Finest near 0, where an exponential variable that wins among many tokens is; 1 itself would be infinite.
    uniform = ((bits + 0.5) * 2.0**-31).clamp(max=1 - 2.0**-24)
    return -uniform.neg_().log1p_().neg_().log_()


def _mixed(words: torch.Tensor) -> torch.Tensor:
    """Wellons' 32-bit integer hash `lowbias32` (https://nullprogram.com/blog/2018/07/31/), a bijection of int32."""
    words = (words ^ ((words >> 16) & 0xFFFF)) * 0x7FEB352D
    words = (words ^ ((words >> 15) & 0x1FFFF)) * (0x846CA68B - (1 << 32))
    return words ^ ((words >> 16) & 0xFFFF)


def _tell(picked: torch.Tensor, scores: torch.Tensor, *, with_logprob: bool) -> torch.Tensor:
    """Make scores of which the library picks this token, and reports the model's logprob of it, divided by a scale.

    The library reports the logprob of what it picks, in the scores that it is given. Between two tokens the likelier
    has at least one half, so a logprob that is divided by `LOGPROB_SCALE` always belongs to the token that was picked.
    """
    told = torch.full_like(scores, _NEVER).scatter_(1, picked, 0.0)
    if with_logprob:
        logprob = scores.gather(1, picked) - scores.logsumexp(dim=1, keepdim=True)
        against = torch.expm1(-logprob.clamp(LEAST_LOGPROB, 0) / LOGPROB_SCALE).log()
        told.scatter_(1, (picked + 1) % scores.size(1), against)
    return told


def _keys(seed: int, position: int) -> tuple[int, int]:
    """Two 32-bit words that have nothing in common with those of any other seed or position."""
    first, second = _TWO_WORDS.unpack(blake2b(f"{seed} {position}".encode(), digest_size=_TWO_WORDS.size).digest())
    return first, second


def _answer_length(state: RequestState, request: SequenceRequest) -> int:
    return len(state.initial_tokens) - len(request.prompt_token_ids) + len(state.generated_tokens)


def _penalised(request: SequenceRequest) -> bool:
    sampling = request.sampling
    return sampling.repetition_penalty != 1 or bool(sampling.presence_penalty or sampling.frequency_penalty)


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
        auto_switch_to_flash=options.device == "cuda",
        # The library's 8-bit product asks the GPU for outliers and waits for the answer, which no graph can hold.
        use_cuda_graph=False if options.quantization == "int8" else None,
        # With two batches under way, a step would begin before the tokens of the one before it are known here.
        use_async_batching=False,
        return_logprobs=True,
    )
