"""A model that the gateway is measured with, and where its volume is."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gateway.process import REPOSITORY

DEMO = "demo"


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume on which a model is published."""

    store: Path
    model: str

    @property
    def title(self) -> str:
        return self.model if self.model == DEMO else Path(self.model).name


def demo_volume(folder: Path) -> Volume:
    """Fetch the demo model into `folder`, or take the one that is there."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "MODEL_STORE": str(folder)}
    subprocess.run([sys.executable, "-m", "model_fetcher"], cwd=REPOSITORY, env=environment, check=True)
    return Volume(folder, DEMO)
