"""The numbers of a model, whatever its family calls them."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from model_fetcher.errors import CannotConvertError
from model_fetcher.model_shape import read_config, shape_of, source_is_float16, source_is_float32

LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "max_position_embeddings": 2048,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "hidden_size": 2048,
    "vocab_size": 128_256,
}
GPT2 = {"architectures": ["GPT2LMHeadModel"], "n_positions": 1024, "n_layer": 12, "n_head": 12, "n_embd": 768}


def folder_with(tmp_path: Path, config: dict[str, Any]) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return tmp_path


def test_grouped_heads_and_head_size_are_derived(tmp_path: Path) -> None:
    shape = shape_of(folder_with(tmp_path, LLAMA), num_parameters=7)
    assert (shape.num_kv_heads, shape.head_size, shape.num_layers, shape.context_tokens) == (8, 64, 16, 2048)


def test_an_explicit_head_size_wins(tmp_path: Path) -> None:
    assert shape_of(folder_with(tmp_path, LLAMA | {"head_dim": 128}), num_parameters=7).head_size == 128


def test_older_families_are_understood(tmp_path: Path) -> None:
    shape = shape_of(folder_with(tmp_path, GPT2 | {"vocab_size": 50_257}), num_parameters=7)
    assert (shape.num_kv_heads, shape.head_size, shape.context_tokens) == (12, 64, 1024)


def test_the_text_part_of_a_multimodal_model_counts(tmp_path: Path) -> None:
    config = {"architectures": ["Gemma3ForConditionalGeneration"], "text_config": LLAMA}
    assert shape_of(folder_with(tmp_path, config), num_parameters=7).num_layers == 16


def test_what_is_no_text_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotConvertError, match="num_attention_heads"):
        shape_of(folder_with(tmp_path, {"model_type": "resnet"}))


def test_parameters_are_counted_from_the_headers_of_the_weights(tmp_path: Path) -> None:
    header = json.dumps({"__metadata__": {}, "a": {"shape": [3, 4]}, "b": {"shape": [5]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    assert shape_of(folder_with(tmp_path, LLAMA)).num_parameters == 17


def test_parameters_of_an_ir_leave_scales_out(tmp_path: Path) -> None:
    constants = (("u8", "8, 4", 0), ("f16", "8, 1", 32), ("i64", "9, 9", 48), ("bf16", "2, 4", 56))
    layers = "".join(f'<data element_type="{kind}" shape="{shape}" offset="{at}"/>' for kind, shape, at in constants)
    (tmp_path / "openvino_model.xml").write_text(f"<net>{layers}</net>", encoding="utf-8")
    assert shape_of(folder_with(tmp_path, LLAMA)).num_parameters == 40


@pytest.mark.parametrize("text", ["{", "[]", '"text"'])
def test_a_configuration_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(CannotConvertError, match=r"config\.json"):
        read_config(text)


def test_types_of_weights_are_told_apart() -> None:
    assert source_is_float16({"torch_dtype": "float16"})
    assert not source_is_float16({"dtype": "bfloat16"})
    assert source_is_float32({"dtype": "float32"})
    assert source_is_float32({})
    assert not source_is_float32({"dtype": "bfloat16"})
