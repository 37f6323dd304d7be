"""What a manifest says of a model that is small enough for any test."""

from typing import Final

from model_store.manifest import Manifest, ModelShape

SMALL: Final = ModelShape(
    architecture="LlamaForCausalLM",
    context_tokens=512,
    vocabulary_tokens=300,
    num_layers=2,
    num_kv_heads=2,
    head_size=16,
    num_parameters=1000,
)

CONVERTED: Final = Manifest(
    model="org/name",
    source="https://hub/org/name",
    commit="c0ffee",
    licence=None,
    variant="openvino-int8",
    precision="int8",
    content="c0ffee-1",
    shape=SMALL,
    files=(),
    published_at="2026-01-01T00:00:00+00:00",
)
"""Of a conversion without files; what a test is about it changes by `msgspec.structs.replace`."""
