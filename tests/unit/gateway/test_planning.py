"""From settings, weights and machine to a plan: where an engine keeps what, and whose memory it is."""

from pathlib import Path

import pytest

from llm_gateway.errors import MemoryPlanRefusal
from llm_gateway.models.catalog import CatalogEntry
from llm_gateway.models.engine_choice import EngineChoice
from llm_gateway.models.planning import kv_cache_precision, plan_for
from llm_gateway.settings import Settings
from machine.gpu_memory import GpuCard
from model_store.manifest import Manifest, ModelShape
from tests.unit.profiles.test_profiles import a_machine

GIB = 1 << 30
QWEN3_8B = ModelShape(
    architecture="Qwen3ForCausalLM",
    context_tokens=40_960,
    vocabulary_tokens=151_936,
    num_layers=36,
    num_kv_heads=8,
    head_size=128,
    num_parameters=8_190_000_000,
)
CARD = GpuCard("NVIDIA L4", 24 * GIB, 23 * GIB)


def _entry() -> CatalogEntry:
    manifest = Manifest(
        model="team/model",
        source="hub",
        commit="0" * 40,
        licence=None,
        variant="safetensors",
        precision="as-published",
        content="content",
        shape=QWEN3_8B,
        files=(),
        published_at="2026-11-20T00:00:00+00:00",
    )
    return CatalogEntry(manifest, Path("/nowhere"))


def _gpu(*cards: GpuCard) -> EngineChoice:
    return EngineChoice("vllm", "cuda", ("safetensors",), "a test", cards)


def _settings(**changes: object) -> Settings:
    return Settings(performance_profile="gpu_accelerated", **changes)  # type: ignore[arg-type]


def test_on_a_gpu_its_memory_counts_and_not_the_machines() -> None:
    plan = plan_for(_entry(), _settings(max_model_len=8192), a_machine(memory_gib=4), _gpu(CARD))
    assert plan.weights_bytes == pytest.approx(2 * QWEN3_8B.num_parameters, rel=0.01)
    assert plan.context_tokens == 8192
    assert plan.total_bytes <= 0.9 * CARD.total_bytes


def test_what_does_not_fit_on_a_gpu_is_refused_with_its_numbers() -> None:
    small = GpuCard("NVIDIA T4", 16 * GIB, 15 * GIB)
    with pytest.raises(MemoryPlanRefusal, match=r"NVIDIA T4, GPU_MEMORY_UTILIZATION=0\.9"):
        plan_for(_entry(), _settings(), a_machine(memory_gib=64), _gpu(small))


def test_smaller_weights_and_several_cards_make_room() -> None:
    small = GpuCard("NVIDIA T4", 16 * GIB, 15 * GIB)
    int4 = plan_for(_entry(), _settings(quantization="int4", max_model_len=4096), a_machine(), _gpu(small))
    assert int4.weights_bytes < 7 * GIB
    both = plan_for(_entry(), _settings(tensor_parallel_size=2, max_model_len=4096), a_machine(), _gpu(small, small))
    assert both.available_bytes == 2 * int4.available_bytes


@pytest.mark.parametrize(
    ("engine", "device", "sixteen_bit", "precision", "kept_in"),
    [
        ("openvino", "cpu", True, "auto", "u8"),
        ("transformers", "cpu", True, "auto", "bf16"),
        ("transformers", "cpu", False, "auto", "f32"),
        ("vllm", "cuda", False, "auto", "bf16"),
        ("vllm", "cuda", False, "f16", "f16"),
    ],
)
def test_the_cache_is_as_precise_as_asked_or_as_the_arithmetic_where_an_engine_knows_no_other(
    engine: str, device: str, sixteen_bit: bool, precision: str, kept_in: str
) -> None:
    settings = Settings(kv_cache_precision="u8", inference_precision=precision)  # type: ignore[arg-type]
    choice = EngineChoice(engine, device, (), "a test")  # type: ignore[arg-type]
    assert kv_cache_precision(settings, a_machine(sixteen_bit=sixteen_bit), choice) == kept_in


@pytest.mark.parametrize(
    ("precision", "sixteen_bit", "bytes_per_weight"),
    [("auto", True, 2), ("auto", False, 4), ("bf16", False, 2), ("f16", False, 2), ("f32", True, 4)],
)
def test_published_weights_take_as_much_as_the_precision_that_they_are_loaded_with(
    precision: str, sixteen_bit: bool, bytes_per_weight: int
) -> None:
    settings = Settings(inference_precision=precision, max_model_len=4096)  # type: ignore[arg-type]
    choice = EngineChoice("transformers", "cpu", ("safetensors",), "a test")
    plan = plan_for(_entry(), settings, a_machine(memory_gib=128, sixteen_bit=sixteen_bit), choice)
    assert plan.weights_bytes == pytest.approx(bytes_per_weight * QWEN3_8B.num_parameters, rel=0.01)
