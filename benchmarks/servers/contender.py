"""What a server is to the comparison: how it is started, what it is called, and how it is asked."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.servers.records import Contender

PORT = "{port}"
"""Stands in a command for the port that the server is to listen on."""
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Server:
    """One server at one precision, ready to be started."""

    described: Contender
    program: tuple[str, ...]
    """The command line, with `PORT` where the port belongs, as in the environment."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What is added to the environment that every server gets."""
    model: str = "model"
    """What requests call the model."""
    extra: Mapping[str, object] = field(default_factory=lambda: {"temperature": 0, "ignore_eos": True})
    """Keys of every request, beside prompt, model and `max_tokens`: greedy, and never at an end before the limit."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Cells that are not asked, and why."""
    only_first_round: str = ""
    """Why the server takes part in the first round alone, if it does."""

    @property
    def key(self) -> str:
        return self.described.key

    def command(self, port: int) -> list[str]:
        return [word.replace(PORT, str(port)) for word in self.program]

    def full_environment(self, port: int) -> dict[str, str]:
        """Nothing of this shell's settings but where programs and caches are."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        own = {name: value.replace(PORT, str(port)) for name, value in self.environment.items()}
        return kept | {"HF_HUB_OFFLINE": "1"} | own


def as_typed(program: tuple[str, ...], environment: Mapping[str, str]) -> str:
    """The command as a person would type it in the repository."""
    words = [*(f"{name}={value}" for name, value in environment.items()), *program]
    return " ".join(words).replace(str(REPOSITORY) + "/", "")
