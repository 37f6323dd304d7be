"""Which published variant answers which wish, of the fetcher and of the gateway alike."""

from pathlib import Path

import msgspec
import pytest

from model_store.layout import StoreLayout
from model_store.manifest import write_manifest
from model_store.variants import OPENVINO, SAFETENSORS, acceptable_variants, find_published
from tests.unit.model_store.test_manifest import manifest_of

CPU = (OPENVINO, SAFETENSORS)
GPU = (SAFETENSORS,)
UNCONVERTIBLE = "the converter knows no text generation for the architecture 'helium'"


@pytest.fixture
def layout(tmp_path: Path) -> StoreLayout:
    return StoreLayout(tmp_path)


def put(layout: StoreLayout, variant: str, unconvertible: str | None = None) -> None:
    content = layout.variant("org/name", variant) / "content"
    content.mkdir(parents=True)
    manifest = msgspec.structs.replace(manifest_of(content, variant), unconvertible=unconvertible)
    write_manifest(layout.manifest("org/name", variant), manifest)


def found(layout: StoreLayout, quantization: str, *families: str) -> str | None:
    result = find_published(layout, "org/name", quantization, *([families] if families else []))
    return None if result is None else result[1].variant


@pytest.mark.parametrize("quantization", ["none", "int8", "int4"])
def test_ir_as_published_answers_every_precision_but_comes_last(quantization: str) -> None:
    assert acceptable_variants(quantization)[-1] == "openvino"
    assert f"openvino-{quantization.replace('none', 'bf16')}" in acceptable_variants(quantization)


@pytest.mark.parametrize("quantization", ["none", "int8", "int4"])
def test_safetensors_answer_every_precision_where_the_engine_loads_them(quantization: str) -> None:
    assert acceptable_variants(quantization, GPU) == (SAFETENSORS,)
    assert acceptable_variants(quantization, CPU) == (*acceptable_variants(quantization), SAFETENSORS)


def test_the_published_variant_of_a_precision_is_found(layout: StoreLayout) -> None:
    put(layout, "openvino-int8")
    assert found(layout, "int8") == "openvino-int8"
    assert found(layout, "none") is None
    assert found(layout, "int8", *GPU) is None


def test_originals_that_await_their_conversion_are_not_taken_in_the_meantime(layout: StoreLayout) -> None:
    put(layout, SAFETENSORS)
    assert found(layout, "int8", *CPU) is None
    assert found(layout, "int8") is None
    put(layout, "openvino-int8")
    assert found(layout, "int8", *CPU) == "openvino-int8"


def test_originals_that_cannot_be_converted_answer_after_everything_else(layout: StoreLayout) -> None:
    put(layout, SAFETENSORS, UNCONVERTIBLE)
    assert found(layout, "int4", *CPU) == SAFETENSORS
    assert found(layout, "int4") is None
    put(layout, "openvino-int4")
    assert found(layout, "int4", *CPU) == "openvino-int4"


def test_an_engine_that_prefers_originals_waits_for_no_conversion(layout: StoreLayout) -> None:
    put(layout, SAFETENSORS)
    put(layout, "openvino-bf16")
    assert found(layout, "none", *GPU) == SAFETENSORS
    assert found(layout, "none", SAFETENSORS, OPENVINO) == SAFETENSORS
