"""Where the demo model's weights are: beside the package that trained them, in a clone as in the image."""

from pathlib import Path

DEMO_LICENCE = "apache-2.0"
"""The project's own: its weights were trained here, on a text that was written here."""


def demo_folder() -> Path:
    """The folder with the demo model's configuration, tokenizer and weights."""
    return Path(__file__).resolve().parents[2] / "demo_model" / "weights"
