"""Which prepared form of a model answers which precision, and whether the volume has it.

The fetcher asks it what to make, the gateway what to load, so that both mean the same folder.
"""

from pathlib import Path

from model_store.layout import StoreLayout
from model_store.manifest import Manifest, read_manifest

AS_PUBLISHED = "openvino"
"""A repository's own OpenVINO IR, taken as it is: it answers every precision, because it cannot be changed."""

_ACCEPTABLE = {
    "none": ("openvino-bf16", "openvino-fp16", AS_PUBLISHED),
    "int8": ("openvino-int8", AS_PUBLISHED),
    "int4": ("openvino-int4", AS_PUBLISHED),
}


def acceptable_variants(quantization: str) -> tuple[str, ...]:
    """List the variants that answer QUANTIZATION (none, int8 or int4), best first."""
    return _ACCEPTABLE[quantization]


def find_published(layout: StoreLayout, model_name: str, quantization: str) -> tuple[Path, Manifest] | None:
    """Find the published variant that answers a precision: the manifest's path and content, or None.

    Raises:
        ManifestUnreadableError: a manifest is there and cannot be used.
    """
    for variant in acceptable_variants(quantization):
        path = layout.manifest(model_name, variant)
        manifest = read_manifest(path)
        if manifest is not None:
            return path, manifest
    return None
