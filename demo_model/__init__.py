"""A small Llama that this project trained on its own handbook, so that `MODEL_NAME=demo` needs no hub.

Only `WEIGHTS_FOLDER` matters to the rest of the project: it is a model folder like any other. Everything else here is
how that folder came to be, and runs on the machine of whoever trains it again.
"""

from pathlib import Path

WEIGHTS_FOLDER = Path(__file__).parent / "weights"
HANDBOOK_FOLDER = Path(__file__).parent / "handbook"
FRESH_QUESTIONS = Path(__file__).parent / "fresh_questions.md"
