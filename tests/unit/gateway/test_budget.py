"""The plan of the memory, with the shape of a real model and limits of real machines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.models.budget import (
    BLOCK_TOKENS,
    Alternative,
    CacheWishes,
    MemoryLimits,
    MemoryPlanRefused,
    plan_memory,
)
from llm_gateway.models.memory_estimates import bytes_per_cached_value, loaded_weights_bytes
from model_store.manifest import ModelShape

MIB = 1 << 20
GIB = 1 << 30
QWEN3_06B = ModelShape(
    architecture="Qwen3ForCausalLM",
    context_tokens=40_960,
    vocabulary_tokens=151_936,
    num_layers=28,
    num_kv_heads=8,
    head_size=128,
    num_parameters=596_049_920,
)
FULL_PRECISION_BYTES = 1_191_969_161
INT8 = Alternative("PERFORMANCE_PROFILE=vm_optimized", 597_472_909, bytes_per_cached_value("u8", 128))
CACHE_BYTES_PER_TOKEN = 2 * 28 * 8 * 128 * 2


def wishes(context_tokens: int = 4096, kv_cache_bytes: int | None = None, max_num_seqs: int = 64) -> CacheWishes:
    return CacheWishes(kv_cache_bytes, 2.0, context_tokens, max_num_seqs)


def limits(gib: float, source: str = "cgroup limit") -> MemoryLimits:
    return MemoryLimits(int(gib * GIB), source)


def refusal(wished: CacheWishes, found: MemoryLimits, *alternatives: Alternative) -> str:
    with pytest.raises(MemoryPlanRefused) as caught:
        plan_memory(FULL_PRECISION_BYTES, QWEN3_06B, found, wished, alternatives)
    assert caught.value.needed_bytes > caught.value.found_bytes == found.available_bytes
    assert caught.value.exit_code == 17
    return str(caught.value)


def test_an_automatic_cache_on_a_large_machine_stops_at_four_gibibytes() -> None:
    plan = plan_memory(FULL_PRECISION_BYTES, QWEN3_06B, limits(64, "machine"), wishes())

    assert 0 <= 4 * GIB - plan.kv_cache_bytes < CACHE_BYTES_PER_TOKEN * BLOCK_TOKENS
    assert plan.kv_cache_tokens * CACHE_BYTES_PER_TOKEN == plan.kv_cache_bytes


def test_an_automatic_cache_leaves_a_quarter_of_what_is_left() -> None:
    plan = plan_memory(FULL_PRECISION_BYTES, QWEN3_06B, limits(4), wishes())

    assert plan.kv_cache_bytes <= 0.75 * (4 * GIB - plan.weights_bytes - plan.overhead_bytes)
    assert plan.context_tokens == 4096


def test_an_automatic_cache_is_no_larger_than_all_sequences_could_fill() -> None:
    plan = plan_memory(FULL_PRECISION_BYTES, QWEN3_06B, limits(64), wishes(context_tokens=512, max_num_seqs=2))

    assert plan.kv_cache_tokens == 1024


def test_one_full_context_is_kept_even_where_it_takes_all_that_is_left() -> None:
    plan = plan_memory(FULL_PRECISION_BYTES, QWEN3_06B, limits(6.1), wishes(context_tokens=40_960))

    assert plan.kv_cache_tokens == plan.context_tokens == 40_960


def test_a_cache_of_a_set_size_is_rounded_up_to_whole_blocks_and_may_shorten_the_context() -> None:
    plan = plan_memory(FULL_PRECISION_BYTES, QWEN3_06B, limits(8), wishes(4096, kv_cache_bytes=100 * MIB))

    assert plan.kv_cache_bytes >= 100 * MIB
    assert plan.kv_cache_tokens % BLOCK_TOKENS == 0
    assert plan.context_tokens == plan.kv_cache_tokens == 928


def test_a_cache_of_a_set_size_may_exceed_the_automatic_bound() -> None:
    plan = plan_memory(FULL_PRECISION_BYTES, QWEN3_06B, limits(64), wishes(kv_cache_bytes=16 * GIB))

    assert plan.kv_cache_bytes >= 16 * GIB


def test_a_refusal_names_both_numbers_their_parts_and_what_would_fit() -> None:
    assert refusal(wishes(context_tokens=40_960), limits(4), INT8) == (
        "needs 6.0 GiB (weights 1.2, KV cache 4.4, overhead 0.5), limit 4.0 GiB (cgroup limit); "
        "PERFORMANCE_PROFILE=vm_optimized needs 3.4 GiB; MAX_CONTEXT_TOKENS=16384 needs 3.4 GiB"
    )


def test_an_alternative_that_needs_a_shorter_context_too_says_both() -> None:
    message = refusal(wishes(context_tokens=40_960), limits(2), INT8)

    assert "PERFORMANCE_PROFILE=vm_optimized and MAX_CONTEXT_TOKENS=16384 needs 2.0 GiB" in message


def test_where_nothing_would_fit_the_refusal_says_so() -> None:
    message = refusal(wishes(), limits(0.5), INT8)

    assert message.endswith("no smaller setting fits: take a smaller model, or allow it 2.1 GiB")


def test_a_set_size_that_is_too_large_is_advised_to_be_automatic() -> None:
    assert "KV_CACHE_SIZE=auto needs 2.1 GiB" in refusal(wishes(kv_cache_bytes=8 * GIB), limits(4))


def test_memory_that_others_use_already_is_told_apart_from_the_limit() -> None:
    busy = MemoryLimits(1 * GIB, "machine", limit_bytes=16 * GIB)

    assert "limit 16.0 GiB (machine, 1.0 of it free)" in refusal(wishes(), busy)


@given(
    available_bytes=st.integers(1, 64 * GIB),
    context_tokens=st.integers(1, 131_072),
    max_num_seqs=st.integers(1, 256),
    kv_cache_bytes=st.none() | st.integers(1, 64 * GIB),
)
def test_a_plan_always_fits_and_always_holds_something(
    available_bytes: int, context_tokens: int, max_num_seqs: int, kv_cache_bytes: int | None
) -> None:
    wished = wishes(context_tokens, kv_cache_bytes, max_num_seqs)
    try:
        plan = plan_memory(FULL_PRECISION_BYTES, QWEN3_06B, MemoryLimits(available_bytes, "machine"), wished, [INT8])
    except MemoryPlanRefused:
        return
    assert plan.total_bytes <= available_bytes
    assert BLOCK_TOKENS <= plan.kv_cache_tokens >= plan.context_tokens > 0


@pytest.mark.parametrize(
    ("precision", "arithmetic", "has_16_bit", "times"),
    [
        ("bf16", "bf16", True, 1),
        ("fp16", "auto", True, 1),
        ("fp16", "auto", False, 2),
        ("bf16", "f32", True, 2),
        ("int8", "f32", False, 1),
        ("int4", "auto", False, 1),
    ],
)
def test_16_bit_weights_double_where_the_arithmetic_has_32_bits(
    precision: str, arithmetic: str, has_16_bit: bool, times: int
) -> None:
    assert loaded_weights_bytes(1000, precision, arithmetic, has_16_bit_arithmetic=has_16_bit) == 1000 * times


def test_8_bit_values_carry_a_scale_and_a_zero_point() -> None:
    assert bytes_per_cached_value("u8", 128) == pytest.approx(1.0625)
    assert bytes_per_cached_value("bf16", 64) == 2.0


def test_a_precision_that_no_cache_has_is_answered_with_the_choices() -> None:
    with pytest.raises(ValueError, match="KV_CACHE_PRECISION is 'u4', expected one of f32, bf16, f16, u8"):
        bytes_per_cached_value("u4", 128)
