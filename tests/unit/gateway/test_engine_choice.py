"""Which engine serves: by profile, machine and image, and what is said where none can."""

from pathlib import Path

import pytest

from llm_gateway.errors import EngineRefusal
from llm_gateway.models import engine_choice
from llm_gateway.models.engine_choice import choice_for, engine_choices, wanted_families
from llm_gateway.settings import Settings


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The libraries that can be found; tests say which."""
    there: set[str] = set()
    monkeypatch.setattr(engine_choice, "find_spec", lambda name: name if name in there else None)
    return there


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    driver = tmp_path / "nvidia-smi"
    driver.write_text('#!/bin/sh\necho "NVIDIA L4, 23034, 22000"; echo "NVIDIA L4, 23034, 21000"\n')
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def test_on_a_processor_openvino_comes_first_and_transformers_takes_what_it_cannot_load(installed: set[str]) -> None:
    installed |= {"openvino_genai", "torch", "transformers", "accelerate"}
    choices = engine_choices(Settings())
    assert [choice.engine for choice in choices] == ["openvino", "transformers"]
    assert wanted_families(Settings()) == ("openvino", "safetensors")
    assert choice_for(choices, "safetensors").engine == "transformers"


def test_weights_that_no_installed_engine_loads_are_a_sentence(installed: set[str]) -> None:
    installed |= {"openvino_genai"}
    with pytest.raises(EngineRefusal, match=r"openvino cannot load them.*compose\.transformers\.yaml"):
        choice_for(engine_choices(Settings()), "safetensors")


@pytest.mark.usefixtures("two_cards")
def test_on_a_gpu_vllm_comes_before_transformers(installed: set[str]) -> None:
    installed |= {"vllm", "torch", "transformers", "accelerate", "openvino_genai"}
    choices = engine_choices(Settings(performance_profile="gpu_accelerated"))
    assert [(choice.engine, choice.device) for choice in choices] == [("vllm", "cuda"), ("transformers", "cuda")]
    assert "NVIDIA L4" in choices[0].reason
    assert choices[0].cards[1].free_bytes == 21000 << 20


@pytest.mark.usefixtures("two_cards")
@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"engine": "openvino"}, "ENGINE is openvino, which computes on the CPU"),
        ({"engine": "vllm"}, "vllm is needed to serve this, and not installed here"),
        ({"tensor_parallel_size": 4}, "TENSOR_PARALLEL_SIZE is 4, but there are 2 GPUs"),
        ({"engine": "transformers", "tensor_parallel_size": 2}, "needs vLLM"),
    ],
)
def test_what_cannot_be_on_a_gpu_is_a_sentence(installed: set[str], settings: dict[str, object], sentence: str) -> None:
    installed |= {"torch", "transformers", "accelerate"}
    with pytest.raises(EngineRefusal, match=sentence):
        engine_choices(Settings(performance_profile="gpu_accelerated", **settings))  # type: ignore[arg-type]


def test_without_a_usable_gpu_the_profile_says_what_it_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineRefusal, match=r"no GPU can be used: nvidia-smi.*compose\.gpu\.yaml"):
        engine_choices(Settings(performance_profile="gpu_accelerated"))


def test_an_engine_that_is_named_is_the_only_one(installed: set[str]) -> None:
    installed |= {"openvino_genai", "torch", "transformers", "accelerate"}
    assert [choice.engine for choice in engine_choices(Settings(engine="transformers"))] == ["transformers"]
    assert wanted_families(Settings(engine="vllm")) == ("safetensors",)
