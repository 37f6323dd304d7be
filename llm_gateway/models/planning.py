"""From settings, a catalogue entry and the machine to the numbers that a memory plan is made of."""

import structlog

from llm_gateway.errors import MemoryPlanRefusal
from llm_gateway.models.budget import Alternative, CacheWishes, MemoryLimits, MemoryPlan, plan_memory
from llm_gateway.models.catalog import CatalogEntry
from llm_gateway.models.memory_estimates import bytes_per_cached_value, loaded_weights_bytes
from llm_gateway.settings import Settings
from machine import MachineFacts

_log = structlog.get_logger()

_SHORTEST_UNASKED_TOKENS = 4096
"""A context shorter than this is somebody's decision, not ours."""

_BYTES_PER_WEIGHT = {"bf16": 2.0, "fp16": 2.0, "int8": 1.03, "int4": 0.6}
"""Scales and zero points included; used only for the advice of what would fit instead."""


def plan_for(entry: CatalogEntry, settings: Settings, facts: MachineFacts) -> MemoryPlan:
    """Plan the memory of one model on this machine.

    Where `MAX_CONTEXT_TOKENS` is not set, a context that does not fit is halved until it does: models announce contexts
    that few of their users fill.

    Raises:
        MemoryPlanRefusal: it does not fit; the message says what would.
    """
    longest = entry.manifest.shape.context_tokens
    if settings.max_context_tokens is not None:
        return _plan(entry, settings, facts, min(settings.max_context_tokens, longest))
    try:
        return _plan(entry, settings, facts, longest)
    except MemoryPlanRefusal as refusal:
        return _plan_shorter(entry, settings, facts, refusal)


def _plan_shorter(
    entry: CatalogEntry, settings: Settings, facts: MachineFacts, refusal: MemoryPlanRefusal
) -> MemoryPlan:
    context_tokens = entry.manifest.shape.context_tokens // 2
    while context_tokens >= _SHORTEST_UNASKED_TOKENS:
        try:
            plan = _plan(entry, settings, facts, context_tokens)
        except MemoryPlanRefusal:
            context_tokens //= 2
        else:
            _log.warning("context shortened to fit", context_tokens=context_tokens, because=str(refusal))
            return plan
    raise refusal


def _plan(entry: CatalogEntry, settings: Settings, facts: MachineFacts, context_tokens: int) -> MemoryPlan:
    shape = entry.manifest.shape
    return plan_memory(
        weights_bytes=loaded_weights_bytes(
            entry.weights_bytes,
            entry.manifest.precision,
            settings.inference_precision,
            has_16_bit_arithmetic=facts.cpu.has_16_bit_arithmetic,
        ),
        shape=shape,
        limits=MemoryLimits(facts.memory.available_bytes, facts.memory.source, facts.memory.limit_bytes),
        wishes=CacheWishes(
            kv_cache_bytes=settings.kv_cache_size,
            kv_bytes_per_value=bytes_per_cached_value(settings.kv_cache_precision, shape.head_size),
            context_tokens=context_tokens,
            max_num_seqs=settings.max_num_seqs,
            max_batched_tokens=settings.max_batched_tokens,
        ),
        alternatives=_alternatives(entry),
    )


def _alternatives(entry: CatalogEntry) -> list[Alternative]:
    """Smaller precisions of the same model."""
    present = _BYTES_PER_WEIGHT.get(entry.manifest.precision)
    if present is None:
        return []
    smaller_cache = bytes_per_cached_value("u8", entry.manifest.shape.head_size)
    return [
        Alternative(label, int(entry.weights_bytes * _BYTES_PER_WEIGHT[precision] / present), smaller_cache)
        for label, precision in (("PERFORMANCE_PROFILE=vm_optimized", "int8"), ("QUANTIZATION=int4", "int4"))
        if _BYTES_PER_WEIGHT[precision] < present
    ]
