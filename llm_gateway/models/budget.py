"""The memory plan: whether a model fits, how large its KV cache may be, and what would fit if it does not.

It only calculates. What is on the volume, what the machine allows and what the settings wish for is given to it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from llm_gateway.errors import MemoryPlanRefusal
from llm_gateway.models.memory_estimates import OPENVINO_WORKER_BYTES, overhead_bytes
from model_store.manifest import ModelShape

_GIB = 1 << 30

BLOCK_TOKENS = 32
"""Tokens in one block of the paged KV cache of OpenVINO's CPU plugin; a cache is a whole number of blocks."""

MAX_AUTOMATIC_CACHE_BYTES = 4 * _GIB
"""A cache beyond this is for those who ask for one; a single full context may still need more."""

_SHARE_OF_WHAT_IS_LEFT = 0.75
"""Of the memory left by weights and overhead, what an automatic cache may take: the page cache wants some too."""

_SMALLEST_USEFUL_CONTEXT_TOKENS = 512


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """What the machine allows, in bytes."""

    available_bytes: int
    source: str
    """Who says so: "cgroup limit" or "machine"."""
    limit_bytes: int | None = None
    """The limit that `available_bytes` is left of, for the message; None if only the latter is known."""


@dataclass(frozen=True, slots=True)
class CacheWishes:
    """What the settings ask of the KV cache, and of the steps that fill it."""

    kv_cache_bytes: int | None
    """None sizes it to fit."""
    kv_bytes_per_value: float
    """See `memory_estimates.bytes_per_cached_value`."""
    context_tokens: int
    max_num_seqs: int
    max_batched_tokens: int = 512
    process_bytes: int = OPENVINO_WORKER_BYTES
    """See `memory_estimates.worker_bytes`."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another way to serve the same model, for the advice in a refusal."""

    label: str
    """What to set, such as `PERFORMANCE_PROFILE=vm_optimized`."""
    weights_bytes: int
    kv_bytes_per_value: float


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Where the memory will go, in bytes."""

    weights_bytes: int
    kv_cache_bytes: int
    overhead_bytes: int
    available_bytes: int
    kv_cache_tokens: int
    """What the cache holds, over all sequences; a whole number of blocks."""
    context_tokens: int
    """Longest prompt and answer that can be served: the wish, unless a cache of a set size holds less."""

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.kv_cache_bytes + self.overhead_bytes


class MemoryPlanRefused(MemoryPlanRefusal):
    """The model does not fit; the message has both numbers and what would."""

    def __init__(self, needed: MemoryPlan, limits: MemoryLimits, fitting: Sequence[tuple[str, int]]) -> None:
        """`needed` is the smallest plan for what was asked, `fitting` are settings that fit, with their bytes."""
        super().__init__(_refusal(needed, limits, fitting))
        self.needed_bytes = needed.total_bytes
        self.found_bytes = limits.available_bytes


def plan_memory(
    weights_bytes: int,
    shape: ModelShape,
    limits: MemoryLimits,
    wishes: CacheWishes,
    alternatives: Sequence[Alternative] = (),
) -> MemoryPlan:
    """Plan the memory of one model; `weights_bytes` as `memory_estimates.loaded_weights_bytes` gives them.

    An automatic cache holds at least one full context and at most one for each of `max_num_seqs`.

    Raises:
        MemoryPlanRefused: even the smallest cache does not fit, or the one that was asked for does not.
    """
    smallest = _smallest_plan(weights_bytes, shape, limits, wishes)
    if smallest.total_bytes > limits.available_bytes:
        raise MemoryPlanRefused(smallest, limits, list(_fitting(weights_bytes, shape, limits, wishes, alternatives)))
    if wishes.kv_cache_bytes is not None:
        return smallest
    left_bytes = limits.available_bytes - smallest.weights_bytes - smallest.overhead_bytes
    bounds = (
        smallest.kv_cache_bytes * wishes.max_num_seqs,
        int(left_bytes * _SHARE_OF_WHAT_IS_LEFT),
        MAX_AUTOMATIC_CACHE_BYTES,
    )
    num_blocks = max(smallest.kv_cache_bytes, min(bounds)) // _block_bytes(shape, wishes)
    return _with_cache(smallest, num_blocks, shape, wishes)


def _smallest_plan(weights_bytes: int, shape: ModelShape, limits: MemoryLimits, wishes: CacheWishes) -> MemoryPlan:
    """Plan the cache that was asked for, or the least that an automatic one must have: one full context."""
    bare = MemoryPlan(
        weights_bytes=weights_bytes,
        kv_cache_bytes=0,
        overhead_bytes=overhead_bytes(shape, wishes.max_num_seqs, wishes.max_batched_tokens, wishes.process_bytes),
        available_bytes=limits.available_bytes,
        kv_cache_tokens=0,
        context_tokens=0,
    )
    if wishes.kv_cache_bytes is None:
        num_blocks = math.ceil(wishes.context_tokens / BLOCK_TOKENS)
    else:
        num_blocks = max(1, math.ceil(wishes.kv_cache_bytes / _block_bytes(shape, wishes)))
    return _with_cache(bare, num_blocks, shape, wishes)


def _with_cache(plan: MemoryPlan, num_blocks: int, shape: ModelShape, wishes: CacheWishes) -> MemoryPlan:
    return replace(
        plan,
        kv_cache_bytes=num_blocks * _block_bytes(shape, wishes),
        kv_cache_tokens=num_blocks * BLOCK_TOKENS,
        context_tokens=min(wishes.context_tokens, num_blocks * BLOCK_TOKENS),
    )


def _block_bytes(shape: ModelShape, wishes: CacheWishes) -> int:
    values_per_token = 2 * shape.num_layers * shape.num_kv_heads * shape.head_size
    return math.ceil(BLOCK_TOKENS * values_per_token * wishes.kv_bytes_per_value)


def _fitting(
    weights_bytes: int,
    shape: ModelShape,
    limits: MemoryLimits,
    wishes: CacheWishes,
    alternatives: Sequence[Alternative],
) -> Iterator[tuple[str, int]]:
    """Yield what would fit: each alternative, then the same model as it is, with the least change to its cache."""
    as_it_is = Alternative("", weights_bytes, wishes.kv_bytes_per_value)
    for way in (*alternatives, as_it_is):
        for change, changed in _smaller_wishes(replace(wishes, kv_bytes_per_value=way.kv_bytes_per_value)):
            plan = _smallest_plan(way.weights_bytes, shape, limits, changed)
            if plan.total_bytes <= limits.available_bytes:
                yield " and ".join(filter(None, (way.label, change))), plan.total_bytes
                break


def _smaller_wishes(wishes: CacheWishes) -> Iterator[tuple[str, CacheWishes]]:
    yield "", wishes
    automatic = replace(wishes, kv_cache_bytes=None)
    if wishes.kv_cache_bytes is not None:
        yield "KV_CACHE_SIZE=auto", automatic
    context_tokens = 1 << (max(1, wishes.context_tokens - 1).bit_length() - 1)
    while context_tokens >= _SMALLEST_USEFUL_CONTEXT_TOKENS:
        prefix = "KV_CACHE_SIZE=auto and " if wishes.kv_cache_bytes is not None else ""
        yield f"{prefix}MAX_CONTEXT_TOKENS={context_tokens}", replace(automatic, context_tokens=context_tokens)
        context_tokens //= 2


def _refusal(needed: MemoryPlan, limits: MemoryLimits, fitting: Sequence[tuple[str, int]]) -> str:
    weights, cache, overhead = map(_up, (needed.weights_bytes, needed.kv_cache_bytes, needed.overhead_bytes))
    total, free = _up(needed.total_bytes), _down(limits.available_bytes)
    limit = _down(limits.limit_bytes or limits.available_bytes)
    source = limits.source if limit == free else f"{limits.source}, {free} of it free"
    advice = [f"{label} needs {_up(total_bytes)} GiB" for label, total_bytes in fitting]
    nothing = f"no smaller setting fits: take a smaller model, or allow it {total} GiB"
    return (
        f"needs {total} GiB (weights {weights}, KV cache {cache}, overhead {overhead}), limit {limit} GiB ({source}); "
        f"{'; '.join(advice) or nothing}"
    )


def _up(num_bytes: int) -> str:
    """Write GiB with one decimal, rounded up, so that what is needed never reads like what is there."""
    return f"{math.ceil(num_bytes / _GIB * 10) / 10:.1f}"


def _down(num_bytes: int) -> str:
    return f"{math.floor(num_bytes / _GIB * 10) / 10:.1f}"
