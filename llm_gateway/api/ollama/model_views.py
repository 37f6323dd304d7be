"""A model on the volume, as /api/tags, /api/show and /api/ps tell of it."""

import re
from datetime import UTC, datetime
from typing import Final

from llm_gateway.api.ollama.answers import present
from llm_gateway.models.figures import Figures
from llm_gateway.models.shelf import ModelDescription
from model_store.variants import OPENVINO, SAFETENSORS

_PRECISIONS: Final = {"fp16": "F16", "fp32": "F32"}
_TASK: Final = re.compile(r"For[A-Z]\w*\Z")
_NEVER: Final = datetime(2318, 1, 1, tzinfo=UTC)
"""When a model that stays loaded goes: Ollama, too, then names a year that its clients' calendars still have."""


def tag_of(name: str) -> str:
    """The name with the tag that Ollama's names have."""
    return f"{name}:latest"


def one_each(descriptions: list[ModelDescription]) -> list[ModelDescription]:
    """Of several variants of one model, keep the first, which is the served one where it is among them."""
    kept: dict[str, ModelDescription] = {}
    for description in descriptions:
        kept.setdefault(description.name, description)
    return list(kept.values())


def list_entry(model: ModelDescription) -> dict[str, object]:
    """An entry of /api/tags."""
    return {
        "name": tag_of(model.name),
        "model": tag_of(model.name),
        "modified_at": model.published_at,
        "size": model.size_bytes,
        "digest": model.digest,
        "details": details_of(model),
        "capabilities": capabilities_of(model),
    }


def running_entry(model: ModelDescription, figures: Figures, device: str) -> dict[str, object]:
    """An entry of /api/ps; of a GPU's memory the weights are counted, which are all that is known of it."""
    size_vram = model.size_bytes if device == "cuda" else 0
    return {
        "name": tag_of(model.name),
        "model": tag_of(model.name),
        "size": figures.memory_bytes + size_vram,
        "digest": model.digest,
        "details": details_of(model),
        "expires_at": _NEVER.isoformat(),
        "size_vram": size_vram,
        "context_length": figures.context_tokens,
    }


def show_answer(model: ModelDescription, context_tokens: int) -> dict[str, object]:
    """The answer of /api/show; `context_tokens` is the context that is served, or would be."""
    family = family_of(model)
    return {
        **present(license=model.licence),
        "modelfile": f"# {model.variant} at revision {model.commit}, served by Preheat\nFROM {model.name}\n",
        "parameters": f"num_ctx {context_tokens}",
        "template": model.template or "",
        "system": "",
        "details": details_of(model),
        "model_info": {
            "general.architecture": family,
            "general.basename": model.name,
            "general.parameter_count": model.num_parameters,
            f"{family}.context_length": context_tokens,
        },
        "capabilities": capabilities_of(model),
        "modified_at": model.published_at,
    }


def details_of(model: ModelDescription) -> dict[str, object]:
    family = family_of(model)
    return {
        "parent_model": "",
        "format": SAFETENSORS if model.variant == SAFETENSORS else OPENVINO,
        "family": family,
        "families": [family],
        "parameter_size": parameter_size(model.num_parameters),
        "quantization_level": _PRECISIONS.get(model.precision, model.precision.upper()),
    }


def capabilities_of(model: ModelDescription) -> list[str]:
    found = {"completion": True, "tools": model.calls_tools, "thinking": model.thinks}
    return [capability for capability, is_there in found.items() if is_there]


def family_of(model: ModelDescription) -> str:
    """The architecture as Ollama writes such names: `LlamaForCausalLM` is `llama`."""
    return _TASK.sub("", model.architecture).lower()


def parameter_size(num_parameters: int) -> str:
    """Such as 3.5M, 596M or 8.0B."""
    if num_parameters >= 1_000_000_000:
        return f"{num_parameters / 1e9:.1f}B"
    if num_parameters >= 100_000_000:
        return f"{num_parameters / 1e6:.0f}M"
    return f"{num_parameters / 1e6:.1f}M" if num_parameters >= 1_000_000 else f"{num_parameters / 1e3:.0f}K"
