"""Which engine serves, on which device, from which form of the weights: by name, or by profile, machine and image.

It decides before anything is loaded and imports no engine; what is installed is looked up by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final, Literal

from llm_gateway.errors import EngineRefusal
from llm_gateway.settings import Settings
from machine.gpu_memory import GpuCard, GpuUnusableError, gpu_cards
from model_store.variants import OPENVINO, SAFETENSORS, families_for

_GPU_PROFILE: Final = "gpu_accelerated"
_LIBRARIES: Final = {
    "openvino": ("openvino_genai",),
    "transformers": ("torch", "transformers", "accelerate"),
    "vllm": ("vllm",),
    "fake": (),
}
"""What has to be importable for an engine."""
_IMAGES: Final = {
    "openvino": "the image that compose.yaml builds",
    "transformers": "the image of compose.transformers.yaml, or for a GPU the target that compose.gpu.yaml names",
    "vllm": "the image of compose.gpu.yaml",
}
"""Which image has it."""


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An engine that could serve, and why it."""

    engine: str
    device: Literal["cpu", "cuda"]
    families: tuple[str, ...]
    reason: str
    cards: tuple[GpuCard, ...] = ()
    """The cards that were found, where the device is one."""


def engine_choices(settings: Settings) -> tuple[EngineChoice, ...]:
    """List the engines that these settings allow on this machine, best first; which one it is, the volume decides.

    Raises:
        EngineRefusal: there is none; the sentence says what was looked for.
    """
    if settings.engine == "fake":
        return (EngineChoice("fake", "cpu", _families("fake"), "ENGINE=fake"),)
    if settings.performance_profile == _GPU_PROFILE:
        return _on_gpu(settings)
    return _on_cpu(settings)


def choice_for(choices: Sequence[EngineChoice], family: str) -> EngineChoice:
    """Take the first that can load this form of weights.

    Raises:
        EngineRefusal: none of them can.
    """
    for choice in choices:
        if family in choice.families:
            return choice
    engines = " or ".join(choice.engine for choice in choices)
    if family == SAFETENSORS:
        raise EngineRefusal(
            f"this model's weights are on the volume as they were published, and {engines} cannot load them; "
            "transformers can: COMPOSE_FILE=compose.yaml:compose.transformers.yaml in .env builds an image that has it"
        )
    raise EngineRefusal(
        f"the volume holds this model as {family}, which {engines} cannot load; "
        "run the fetcher with the same settings as the gateway"
    )


def wanted_families(settings: Settings) -> tuple[str, ...]:
    """The forms of weights that these settings ask for, whatever this machine and this image can do."""
    return families_for(settings.engine, settings.performance_profile)


def _on_gpu(settings: Settings) -> tuple[EngineChoice, ...]:
    try:
        cards = gpu_cards()
    except GpuUnusableError as error:
        raise EngineRefusal(
            f"PERFORMANCE_PROFILE is gpu_accelerated, but no GPU can be used: {error}; give the container the device "
            "(COMPOSE_FILE=compose.yaml:compose.gpu.yaml in .env does), or use cpu_optimized, vm_optimized or auto"
        ) from error
    if settings.engine == "openvino":
        raise EngineRefusal("ENGINE is openvino, which computes on the CPU; use auto, vllm or transformers on a GPU")
    if len(cards) < settings.tensor_parallel_size:
        raise EngineRefusal(
            f"TENSOR_PARALLEL_SIZE is {settings.tensor_parallel_size}, but there are {len(cards)} GPUs; lower it"
        )
    if settings.engine == "transformers" and settings.tensor_parallel_size > 1:
        raise EngineRefusal("TENSOR_PARALLEL_SIZE over 1 needs vLLM, but ENGINE is transformers; use ENGINE=vllm")
    names = _names_on_gpu(settings)
    found = [
        EngineChoice(name, "cuda", _families(name), f"{_why(settings)}, {cards[0].name}, {name} is installed", cards)
        for name in names
        if _is_installed(name)
    ]
    return _some(found, names)


def _names_on_gpu(settings: Settings) -> tuple[str, ...]:
    if settings.engine != "auto":
        return (settings.engine,)
    if settings.quantization != "none":
        return ("transformers",)  # vLLM compresses nothing to these precisions while it loads
    return ("vllm",) if settings.tensor_parallel_size > 1 else ("vllm", "transformers")


def _on_cpu(settings: Settings) -> tuple[EngineChoice, ...]:
    names = ("openvino", "transformers") if settings.engine == "auto" else (settings.engine,)
    reasons = {
        "openvino": "the fastest on a CPU, for architectures that could be converted",
        "transformers": "for weights that could not be converted",
        "vllm": "asked for",
    }
    found = [
        EngineChoice(name, "cpu", _families(name), f"{_why(settings)}, {name}: {reasons[name]}")
        for name in names
        if _is_installed(name)
    ]
    return _some(found, names)


def _some(found: list[EngineChoice], names: Sequence[str]) -> tuple[EngineChoice, ...]:
    if not found:
        wanted = " or ".join(names)
        raise EngineRefusal(
            f"{wanted} is needed to serve this, and not installed here; {_IMAGES[names[0]]} has it, "
            "or `pip install` it beside the gateway"
        )
    return tuple(found)


def _families(engine: str) -> tuple[str, ...]:
    """Which forms of the weights an engine loads."""
    return (OPENVINO, SAFETENSORS) if engine == "fake" else families_for(engine, "")


def _why(settings: Settings) -> str:
    return f"PERFORMANCE_PROFILE={settings.performance_profile}" + (
        "" if settings.engine == "auto" else f" and ENGINE={settings.engine}"
    )


def _is_installed(engine: str) -> bool:
    return all(find_spec(library) is not None for library in _LIBRARIES[engine])
