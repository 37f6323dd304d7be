"""Which settings are varied, to which values, and what is asked of each: the data behind the profiles' numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.engine import questions as ask
from benchmarks.engine.questions import Question


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a setting: as the profile has it but for these options and properties."""

    label: str
    options: Mapping[str, object] = field(default_factory=dict)
    properties: Mapping[str, object] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    """Settings of the gateway that pick another variant on the volume, such as QUANTIZATION."""
    questions: Sequence[Question] = ()
    """Instead of the study's."""


@dataclass(frozen=True, slots=True)
class Study:
    """One setting."""

    values: Sequence[Value]
    questions: Sequence[Question]


_SPEED: Sequence[Question] = (ask.one_stream, ask.eight_streams, ask.long_prompt)


def _options(option: str, *values: object) -> list[Value]:
    return [Value(str(value), {option: value}) for value in values]


def _properties(name: str, *values: object) -> list[Value]:
    return [Value("as it comes"), *(Value(str(value), properties={name: value}) for value in values)]


STUDIES: Mapping[str, Study] = {
    "MAX_BATCHED_TOKENS": Study(
        _options("max_batched_tokens", 128, 256, 512, 1024, 2048), (ask.long_prompt, ask.arrivals, ask.eight_streams)
    ),
    "KV_CACHE_PRECISION": Study(
        _options("kv_cache_precision", "bf16", "f16", "u8"),
        (ask.one_stream, ask.eight_streams, ask.long_context, ask.memory),
    ),
    "MAX_NUM_SEQS": Study(
        [
            Value(f"{streams} streams", {"kv_cache_tokens": 64 * 352}, questions=(ask.as_many_as(streams),))
            for streams in (1, 2, 4, 8, 16, 32, 64)
        ],
        (),
    ),
    "OMP_NUM_THREADS": Study(_options("num_threads", 1, 2), _SPEED),
    "INFERENCE_PRECISION": Study(_options("inference_precision", "auto", "bf16", "f16", "f32"), (*_SPEED, ask.memory)),
    "QUANTIZATION": Study(
        [Value(name, environment={"QUANTIZATION": name}) for name in ("none", "int8", "int4")], (*_SPEED, ask.memory)
    ),
    "PREFIX_CACHING": Study(
        _options("prefix_caching", True, False),
        (ask.repeated_prompt, ask.one_stream, ask.eight_streams),
    ),
    "CHUNKED_PREFILL": Study(
        _options("chunked_prefill", True, False),
        (ask.long_prompt, ask.arrivals),
    ),
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": Study(
        _properties("DYNAMIC_QUANTIZATION_GROUP_SIZE", 0, 32, 64, 128, 1024), _SPEED
    ),
    "PERFORMANCE_HINT": Study(_properties("PERFORMANCE_HINT", "LATENCY", "THROUGHPUT"), _SPEED),
    "NUM_STREAMS": Study(_properties("NUM_STREAMS", 1), _SPEED),
    "ENABLE_CPU_PINNING": Study(_properties("ENABLE_CPU_PINNING", True, False), _SPEED),
    "ENABLE_HYPER_THREADING": Study(_properties("ENABLE_HYPER_THREADING", True, False), _SPEED),
    "SCHEDULING_CORE_TYPE": Study(_properties("SCHEDULING_CORE_TYPE", "ANY_CORE", "PCORE_ONLY"), _SPEED),
    "KEY_CACHE_GROUP_SIZE": Study(_properties("KEY_CACHE_GROUP_SIZE", 32, 64), (ask.one_stream, ask.long_context)),
    "CACHE_DIR": Study(
        [Value("none"), Value("a folder", properties={"CACHE_DIR": "/tmp/preheat-cache"})],  # noqa: S108
        (ask.construction, ask.one_stream),
    ),
}
