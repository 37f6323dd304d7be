"""Volumes for tests: made once by the real fetcher, then shared by everyone who only reads."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.gateway_process import REPOSITORY


def fetch_demo(store: Path, **environment: str) -> None:
    """Run the fetcher on the demo model, as the first start of the appliance does."""
    subprocess.run(
        [sys.executable, "-m", "model_fetcher"],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "MODEL_STORE": str(store), **environment},
        check=True,
    )
