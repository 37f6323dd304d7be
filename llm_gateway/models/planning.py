"""From settings, a catalogue entry and the machine to the numbers that a memory plan is made of."""

from llm_gateway.models.budget import Alternative, CacheWishes, MemoryLimits, MemoryPlan, plan_memory
from llm_gateway.models.catalog import CatalogEntry
from llm_gateway.models.memory_estimates import bytes_per_cached_value, loaded_weights_bytes
from llm_gateway.settings import Settings
from machine import MachineFacts

_BYTES_PER_WEIGHT = {"bf16": 2.0, "fp16": 2.0, "int8": 1.03, "int4": 0.6}
"""Scales and zero points included; used only for the advice of what would fit instead."""


def plan_for(entry: CatalogEntry, settings: Settings, facts: MachineFacts) -> MemoryPlan:
    """Plan the memory of one model on this machine.

    Raises:
        MemoryPlanRefusal: it does not fit; the message says what would.
    """
    shape = entry.manifest.shape
    asked_tokens = settings.max_context_tokens or shape.context_tokens
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
            context_tokens=min(asked_tokens, shape.context_tokens),
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
