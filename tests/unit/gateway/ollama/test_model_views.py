"""How models are described where numbers and names become words."""

from datetime import UTC, datetime

import pytest

from llm_gateway.api.ollama.model_views import details_of, one_each, parameter_size, running_entry
from llm_gateway.models.figures import Figures
from llm_gateway.models.shelf import ModelDescription


def _model(**keys: object) -> ModelDescription:
    known: dict[str, object] = {
        "name": "demo",
        "variant": "openvino-int8",
        "precision": "int8",
        "commit": "c0ffee",
        "licence": None,
        "digest": "0" * 64,
        "size_bytes": 1,
        "published_at": datetime(2026, 1, 2, tzinfo=UTC),
        "architecture": "LlamaForCausalLM",
        "num_parameters": 1_000_000,
        "context_tokens": 64,
        "file_digests": (),
        "template": None,
        "calls_tools": False,
        "thinks": False,
    }
    return ModelDescription(**{**known, **keys})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("num_parameters", "size"),
    [(900, "1K"), (35_000, "35K"), (3_476_224, "3.5M"), (596_049_920, "596M"), (8_030_261_248, "8.0B")],
)
def test_sizes_are_short(num_parameters: int, size: str) -> None:
    assert parameter_size(num_parameters) == size


@pytest.mark.parametrize(
    ("architecture", "family"),
    [("LlamaForCausalLM", "llama"), ("Gemma3ForConditionalGeneration", "gemma3"), ("qwen3_moe", "qwen3_moe")],
)
def test_families_are_named_without_the_task(architecture: str, family: str) -> None:
    assert details_of(_model(architecture=architecture))["family"] == family


@pytest.mark.parametrize(("precision", "level"), [("bf16", "BF16"), ("fp16", "F16"), ("int8", "INT8")])
def test_precisions_have_the_names_that_clients_know(precision: str, level: str) -> None:
    assert details_of(_model(precision=precision))["quantization_level"] == level


@pytest.mark.parametrize(
    ("variant", "form"), [("openvino-int8", "openvino"), ("openvino", "openvino"), ("safetensors", "safetensors")]
)
def test_the_format_is_that_of_the_files(variant: str, form: str) -> None:
    assert details_of(_model(variant=variant))["format"] == form


@pytest.mark.parametrize(("device", "sizes"), [("cpu", (100, 0)), ("cuda", (170, 70))])
def test_a_model_on_a_gpu_says_what_it_takes_there(device: str, sizes: tuple[int, int]) -> None:
    figures = Figures(
        first_token_ms=1.0, tokens_per_s=1.0, memory_bytes=100, num_threads=1, context_tokens=64, num_prompts=1
    )
    entry = running_entry(_model(size_bytes=70), figures, device)
    assert (entry["size"], entry["size_vram"]) == sizes


def test_of_several_variants_the_first_is_kept() -> None:
    models = [_model(), _model(variant="openvino-bf16"), _model(name="other")]
    assert [(model.name, model.variant) for model in one_each(models)] == [
        ("demo", "openvino-int8"),
        ("other", "openvino-int8"),
    ]
