"""Estimates of what a loaded model takes, from its shape alone; the constants are measurements, and say of what."""

import math

from model_store.manifest import ModelShape

_MIB = 1 << 20

# Measured with OpenVINO GenAI 2026.4 on the shape of Qwen3-0.6B (596 million parameters, 151,936 tokens of vocabulary),
# as the worker's anonymous memory. After loading and one request: 106 MiB more than the weights' file at 16 bits, 117
# at 8 bits, 51 with a vocabulary of 300 tokens; its libraries keep 87 MiB of mapped files warm. The gateway's own
# tokenizer took 101 MiB. A step of 512 tokens added 24 MiB, one of 2,048 tokens 103; 64 sequences, sampled, added 87.
OPENVINO_WORKER_BYTES = 192 * _MIB
_BYTES_PER_VOCABULARY_TOKEN = 1_100
_ACTIVATION_BYTES = 16
"""Per batched token and square root of the parameters in a layer, which follows the width of the model."""
_SAMPLING_BYTES = 12
"""Per sequence and vocabulary token: one 32-bit logit and the sampler's working copy."""


def loaded_weights_bytes(
    file_bytes: int, precision: str, inference_precision: str, *, has_16_bit_arithmetic: bool
) -> int:
    """Estimate what weights take once loaded: a copy laid out for the processor; the file's own pages can be dropped.

    8-bit and 4-bit weights stay as they are; 16-bit ones are widened to 32 bits where the arithmetic has 32
    (measured: 1,140 MiB for a file of 1,137 with bf16 arithmetic, 1,980 with f32, 570 for one of 570 with 8 bits). In a
    container whose limit left no room for the file's pages too, the kernel dropped them and the model answered on.
    """
    in_16_bits = _calculates_in_16_bits(inference_precision, has_16_bit_arithmetic=has_16_bit_arithmetic)
    widened = precision in {"bf16", "fp16", "f16"} and not in_16_bits
    return file_bytes * 2 if widened else file_bytes


def compressed_weights_bytes(
    shape: ModelShape, quantization: str, inference_precision: str, *, has_16_bit_arithmetic: bool
) -> int:
    """Estimate what published weights take once an engine has loaded them, compressed on the way where that is asked.

    bitsandbytes compresses the layers and leaves the embeddings; NF4 has a scale for every 64 values.
    """
    wide = 2 if _calculates_in_16_bits(inference_precision, has_16_bit_arithmetic=has_16_bit_arithmetic) else 4
    per_weight = {"none": wide, "int8": 1.02, "int4": 0.57}[quantization]
    embeddings = shape.vocabulary_tokens * int(math.sqrt(shape.num_parameters / (12 * shape.num_layers)))
    return int((shape.num_parameters - embeddings) * per_weight + embeddings * wide)


def _calculates_in_16_bits(inference_precision: str, *, has_16_bit_arithmetic: bool) -> bool:
    return has_16_bit_arithmetic if inference_precision == "auto" else inference_precision in {"bf16", "f16"}


def bytes_per_cached_value(precision: str, head_size: int) -> float:
    """Bytes of one cached number; at 8 bits each head's vector carries a 32-bit scale and zero point.

    Raises:
        ValueError: the precision is none that the KV cache can have.
    """
    sizes = {"f32": 4.0, "bf16": 2.0, "f16": 2.0, "u8": 1.0 + 8 / head_size}
    if precision not in sizes:
        raise ValueError(f"KV_CACHE_PRECISION is {precision!r}, expected one of {', '.join(sizes)}")
    return sizes[precision]


def worker_bytes(engine: str, device: str) -> int:
    """Estimate what an engine's process takes before weights and cache: its libraries, loaded and once used.

    Measured on a processor with the demo model: transformers 870 MiB in all with a cache of 320, vLLM 990. What it
    takes of a GPU (its context, and room for graphs) is an assumption so far.
    """
    if device == "cuda":
        return 1024 * _MIB
    return {"transformers": 560 * _MIB, "vllm": 700 * _MIB}.get(engine, OPENVINO_WORKER_BYTES)


def overhead_bytes(
    shape: ModelShape, max_num_seqs: int, max_batched_tokens: int, process_bytes: int = OPENVINO_WORKER_BYTES
) -> int:
    """Estimate everything but weights and cache: the worker, its vocabulary, the gateway's, one step, and sampling."""
    width = math.sqrt(shape.num_parameters / shape.num_layers)
    return (
        process_bytes
        + _BYTES_PER_VOCABULARY_TOKEN * shape.vocabulary_tokens
        + int(_ACTIVATION_BYTES * width * max_batched_tokens)
        + _SAMPLING_BYTES * max_num_seqs * shape.vocabulary_tokens
    )
