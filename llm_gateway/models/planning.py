"""From settings, a catalogue entry and the machine to the numbers that a memory plan is made of."""

from dataclasses import dataclass

import structlog

from llm_gateway.errors import MemoryPlanRefusal
from llm_gateway.models.budget import Alternative, CacheWishes, MemoryLimits, MemoryPlan, plan_memory
from llm_gateway.models.catalog import CatalogEntry
from llm_gateway.models.engine_choice import EngineChoice
from llm_gateway.models.memory_estimates import (
    bytes_per_cached_value,
    compressed_weights_bytes,
    loaded_weights_bytes,
    worker_bytes,
)
from llm_gateway.settings import Settings
from machine import MachineFacts
from model_store.variants import SAFETENSORS

_log = structlog.get_logger()

_SHORTEST_UNASKED_TOKENS = 4096
"""A context shorter than this is somebody's decision, not ours."""

_BYTES_PER_WEIGHT = {"bf16": 2.0, "fp16": 2.0, "int8": 1.03, "int4": 0.6}
"""Scales and zero points included; used only for the advice of what would fit instead."""


def plan_for(entry: CatalogEntry, settings: Settings, facts: MachineFacts, choice: EngineChoice) -> MemoryPlan:
    """Plan the memory of one model on this machine, for the engine that will hold it.

    Where `MAX_CONTEXT_TOKENS` is not set, a context that does not fit is halved until it does: models announce contexts
    that few of their users fill.

    Raises:
        MemoryPlanRefusal: it does not fit; the message says what would.
    """
    longest = entry.manifest.shape.context_tokens
    case = _Case(entry, settings, facts, choice)
    if settings.asked_context_tokens is not None:
        return case.plan(min(settings.asked_context_tokens, longest))
    try:
        return case.plan(longest)
    except MemoryPlanRefusal as refusal:
        return _plan_shorter(case, refusal)


def kv_cache_precision(settings: Settings, facts: MachineFacts, choice: EngineChoice) -> str:
    """The precision that the KV cache will have: as set, or that of the arithmetic where an engine knows no other."""
    if choice.engine in {"openvino", "fake"}:
        return settings.kv_cache_precision
    if settings.inference_precision != "auto":
        return settings.inference_precision
    return "bf16" if choice.device == "cuda" or facts.cpu.has_16_bit_arithmetic else "f32"


def _plan_shorter(case: "_Case", refusal: MemoryPlanRefusal) -> MemoryPlan:
    context_tokens = case.entry.manifest.shape.context_tokens // 2
    while context_tokens >= _SHORTEST_UNASKED_TOKENS:
        try:
            plan = case.plan(context_tokens)
        except MemoryPlanRefusal:
            context_tokens //= 2
        else:
            _log.warning("context shortened to fit", context_tokens=context_tokens, because=str(refusal))
            return plan
    raise refusal


@dataclass(frozen=True, slots=True)
class _Case:
    """All that a plan depends on but the context."""

    entry: CatalogEntry
    settings: Settings
    facts: MachineFacts
    choice: EngineChoice

    def plan(self, context_tokens: int) -> MemoryPlan:
        settings, shape = self.settings, self.entry.manifest.shape
        return plan_memory(
            weights_bytes=self._weights_bytes(),
            shape=shape,
            limits=self._limits(),
            wishes=CacheWishes(
                kv_cache_bytes=settings.kv_cache_size,
                kv_bytes_per_value=bytes_per_cached_value(
                    kv_cache_precision(settings, self.facts, self.choice), shape.head_size
                ),
                context_tokens=context_tokens,
                max_num_seqs=settings.max_num_seqs,
                max_batched_tokens=settings.max_batched_tokens,
                process_bytes=worker_bytes(self.choice.engine, self.choice.device),
            ),
            alternatives=_alternatives(self.entry),
        )

    def _weights_bytes(self) -> int:
        precision = self.settings.inference_precision
        if self.entry.family == SAFETENSORS:
            has_16_bit = self.choice.device == "cuda" or self.facts.cpu.has_16_bit_arithmetic
            return compressed_weights_bytes(
                self.entry.manifest.shape, self.settings.quantization, precision, has_16_bit_arithmetic=has_16_bit
            )
        return loaded_weights_bytes(
            self.entry.weights_bytes,
            self.entry.manifest.precision,
            precision,
            has_16_bit_arithmetic=self.facts.cpu.has_16_bit_arithmetic,
        )

    def _limits(self) -> MemoryLimits:
        if self.choice.device == "cpu":
            memory = self.facts.memory
            return MemoryLimits(memory.available_bytes, memory.source, memory.limit_bytes)
        cards = self.choice.cards[: self.settings.tensor_parallel_size]
        share = self.settings.gpu_memory_utilization
        allowed = sum(int(card.total_bytes * share) for card in cards)
        free = sum(min(card.free_bytes, int(card.total_bytes * share)) for card in cards)
        return MemoryLimits(free, f"{len(cards)} x {cards[0].name}, GPU_MEMORY_UTILIZATION={share}", allowed)


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
