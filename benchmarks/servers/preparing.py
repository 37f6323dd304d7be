"""The model that everyone serves, in each form that a server wants it in; what is there is taken as it is."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.make_model import make_model
from benchmarks.servers.contender import REPOSITORY

LLAMA_SOURCE = REPOSITORY / ".peers/llama.cpp"


class Forms:
    """Folders of one shape's model."""

    def __init__(self, folder: Path, shape: str) -> None:
        self._folder = folder / shape
        self._shape = shape
        self.published = self._folder / "model"
        """As a publisher has it: safetensors and a tokenizer."""
        self.volume = self._folder / "volume"
        """As Preheat's fetcher prepares it."""

    def make(self) -> None:
        if not (self.published / "model.safetensors").exists():
            print(f"making a model in the shape of {self._shape} in {self.published}", flush=True)
            make_model(self.published, self._shape)

    def prepare_volume(self, profile: str) -> None:
        """Have the fetcher prepare the model; it checks what is there and does only what is missing."""
        settings = {"MODEL_STORE": str(self.volume), "MODEL_NAME": str(self.published), "PERFORMANCE_PROFILE": profile}
        _run([sys.executable, "-m", "model_fetcher"], settings)

    def gguf(self, precision: str) -> Path:
        return self._folder / f"model-{precision}.gguf"

    def prepare_gguf(self, precision: str) -> None:
        if not self.gguf(precision).exists():
            arguments = [str(LLAMA_SOURCE), str(self.published), str(self.gguf(precision)), precision]
            _run([sys.executable, "-m", "benchmarks.servers.make_gguf", *arguments], {})

    def published_bytes(self) -> int:
        return (self.published / "model.safetensors").stat().st_size

    def volume_bytes(self, variant: str) -> int:
        """The weights of one variant on the volume."""
        return sum(path.stat().st_size for path in self.volume.glob(f"models/*/{variant}/**/openvino_model.bin"))


def _run(command: list[str], settings: Mapping[str, str]) -> None:
    print("preparing:", *command[1:], *settings.values(), flush=True)
    environment = dict(os.environ) | dict(settings)
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"preparing the model ended with {done.returncode}: {done.stderr.strip()[-600:]}")
