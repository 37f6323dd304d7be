"""How the transformers engine samples: one logits processor that draws every sequence's token its own way.

The library samples one way for the whole batch, so it is told to be greedy, and this processor, the place that it has
for what differs between requests, hands over scores whose greatest is the token that was drawn.
"""

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from struct import Struct

import torch
from transformers.generation.continuous_batching.cb_logits_processors import ContinuousBatchingLogitsProcessor
from transformers.generation.continuous_batching.requests import FutureRequestState, RequestState

from llm_gateway.generation import SequenceRequest

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


class Sampler(ContinuousBatchingLogitsProcessor):  # type: ignore[misc]
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
                self._counts.row_of(state, request) if request.sampling.penalizes else NOBODY,
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
            penalties=any(request.sampling.penalizes for request in requests),
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
