"""Which prepared form of a model answers which precision and which engine, and whether the volume has it.

The fetcher asks it what to make, the gateway what to load, so that both mean the same folder.
"""

from collections.abc import Sequence
from pathlib import Path

from model_store.layout import StoreLayout
from model_store.manifest import Manifest, read_manifest

OPENVINO = "openvino"
"""The family of forms that the OpenVINO engine loads; also the variant that is a repository's own IR, taken as it is,
which answers every precision, because it cannot be changed."""
SAFETENSORS = "safetensors"
"""The weights as published, in a folder that transformers and vLLM load; they answer every precision, because these
engines compress while loading."""

_LOADED_BY = {"openvino": (OPENVINO,), "transformers": (SAFETENSORS,), "vllm": (SAFETENSORS,)}
_OF_OPENVINO = {
    "none": ("openvino-bf16", "openvino-fp16", OPENVINO),
    "int8": ("openvino-int8", OPENVINO),
    "int4": ("openvino-int4", OPENVINO),
}


def families_for(engine: str, profile: str) -> tuple[str, ...]:
    """List the families that ENGINE and a profile ask for, best first, whatever a machine or an image can do.

    `profile` is one of `profiles.PROFILE_NAMES`, never `auto`.
    """
    if engine in _LOADED_BY:
        return _LOADED_BY[engine]
    return (SAFETENSORS,) if profile == "gpu_accelerated" else (OPENVINO, SAFETENSORS)


def acceptable_variants(quantization: str, families: Sequence[str] = (OPENVINO,)) -> tuple[str, ...]:
    """List the variants that answer QUANTIZATION (none, int8 or int4), best first.

    `families` names what the engine at hand loads, `openvino` or `safetensors`, in order of preference.

    Raises:
        KeyError: there is no such precision or family.
    """
    by_family = {OPENVINO: _OF_OPENVINO[quantization], SAFETENSORS: (SAFETENSORS,)}
    return tuple(variant for family in families for variant in by_family[family])


def is_meant_for(manifest: Manifest, families: Sequence[str]) -> bool:
    """Whether a published variant is what an engine with these preferences should load.

    Originals are published before their conversion begins. Where they are only the second choice, they are not taken
    in the meantime: they answer once it is known that there is no conversion.
    """
    return manifest.variant != SAFETENSORS or families[0] == SAFETENSORS or manifest.unconvertible is not None


def find_published(
    layout: StoreLayout, model_name: str, quantization: str, families: Sequence[str] = (OPENVINO,)
) -> tuple[Path, Manifest] | None:
    """Find the published variant that answers a precision: the manifest's path and content, or None.

    `families` is as in `acceptable_variants`; `openvino, safetensors` finds originals only where they are all that
    there will be.

    Raises:
        ManifestUnreadableError: a manifest is there and cannot be used.
    """
    for variant in acceptable_variants(quantization, families):
        path = layout.manifest(model_name, variant)
        manifest = read_manifest(path)
        if manifest is not None and is_meant_for(manifest, families):
            return path, manifest
    return None
