"""The shape of a model, read from config.json and from the headers of its weight files; no library is needed for it.

Families name the same number differently; the names here are those of transformers' configurations.
"""

import json
import math
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from model_fetcher.errors import CannotConvertError
from model_store.manifest import ModelShape

_CONTEXT = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length", "n_ctx", "max_seq_len")
_LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
_WIDTH = ("hidden_size", "n_embd", "d_model")
_WEIGHT_TYPES = frozenset({"f32", "f16", "bf16", "u8", "i8", "u4", "i4"})
_MAX_HEADER_BYTES = 100 << 20


def read_config(text: str) -> dict[str, Any]:
    """Parse config.json; a multimodal model's text part is what counts here.

    Raises:
        CannotConvertError: it is not a JSON object.
    """
    try:
        config = json.loads(text)
    except ValueError as error:
        raise CannotConvertError(f"config.json is not JSON ({error})") from error
    if not isinstance(config, dict):
        raise CannotConvertError("config.json is not a JSON object")
    return config


def shape_of(folder: Path, num_parameters: int | None = None) -> ModelShape:
    """Describe the model in a folder; parameters are counted from the weight files unless they are known already.

    Raises:
        CannotConvertError: config.json lacks a number without which no memory plan can be made.
    """
    config = read_config((folder / "config.json").read_text(encoding="utf-8"))
    return shape_from(config, _count_parameters(folder) if num_parameters is None else num_parameters)


def shape_from(config: dict[str, Any], num_parameters: int) -> ModelShape:
    """Describe the model that a configuration is of.

    Raises:
        CannotConvertError: it lacks a number without which no memory plan can be made.
    """
    text = config.get("text_config", config)
    num_heads = _number(text, _HEADS)
    return ModelShape(
        architecture=str((config.get("architectures") or [config.get("model_type", "unknown")])[0]),
        context_tokens=_number(text, _CONTEXT),
        vocabulary_tokens=_number(text, ("vocab_size",)),
        num_layers=_number(text, _LAYERS),
        num_kv_heads=int(text.get("num_key_value_heads") or (1 if text.get("multi_query") else num_heads)),
        head_size=int(text.get("head_dim") or _number(text, _WIDTH) // num_heads),
        num_parameters=num_parameters,
    )


def source_is_float16(config: dict[str, Any]) -> bool:
    """Whether the weights were published as IEEE half precision rather than bfloat16 or float32."""
    return str(config.get("dtype") or config.get("torch_dtype")).endswith("float16") and not _is(config, "bfloat16")


def source_is_float32(config: dict[str, Any]) -> bool:
    """Whether the weights were published at 32 bits, which a configuration without a type also means."""
    return _is(config, "float32") or (config.get("dtype") or config.get("torch_dtype")) is None


def _is(config: dict[str, Any], name: str) -> bool:
    return str(config.get("dtype") or config.get("torch_dtype")).endswith(name)


def _number(config: dict[str, Any], names: tuple[str, ...]) -> int:
    for name in names:
        if isinstance(config.get(name), int):
            return int(config[name])
    raise CannotConvertError(f"config.json has none of {', '.join(names)}, so this is no text-generation model")


def _count_parameters(folder: Path) -> int:
    safetensors = list(folder.glob("*.safetensors"))
    if safetensors:
        return sum(_count_in_safetensors(path) for path in safetensors)
    xml = folder / "openvino_model.xml"
    if xml.is_file():
        return _count_in_ir(xml)
    # Pickles say nothing without being run; two bytes a parameter is what nearly all of them hold.
    return sum(path.stat().st_size for path in folder.glob("*.bin")) // 2


def _count_in_safetensors(path: Path) -> int:
    with path.open("rb") as file:
        (header_bytes,) = struct.unpack("<Q", file.read(8))
        if header_bytes > _MAX_HEADER_BYTES:
            raise CannotConvertError(f"{path.name} is not a safetensors file (its header claims {header_bytes} bytes)")
        header = json.loads(file.read(header_bytes))
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def _count_in_ir(xml: Path) -> int:
    """Count weight constants; scales and zero points (a last dimension of one) and scalars are no parameters."""
    shapes: Iterable[list[int]] = (
        [int(size) for size in (element.get("shape") or "").split(",") if size.strip()]
        for _, element in ElementTree.iterparse(xml)  # noqa: S314 - verified against its hash, and entities stay unread
        if element.tag == "data" and element.get("element_type") in _WEIGHT_TYPES and element.get("offset")
    )
    return sum(math.prod(shape) for shape in shapes if len(shape) > 1 and shape[-1] > 1)
