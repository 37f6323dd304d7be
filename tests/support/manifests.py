"""What a manifest says of a model that is small enough for any test."""

from typing import Final

from model_store.manifest import ModelShape

SMALL: Final = ModelShape(
    architecture="LlamaForCausalLM",
    context_tokens=512,
    vocabulary_tokens=300,
    num_layers=2,
    num_kv_heads=2,
    head_size=16,
    num_parameters=1000,
)
