"""What an engine is loaded with. Imported in the engine's process too, so it imports little itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import msgspec

from llm_gateway.workers.protocol import EngineOptions


@dataclass(frozen=True, slots=True)
class Setup:
    """One way to load one model."""

    folder: Path
    options: EngineOptions
    driver: Literal["raw", "contract"] = "contract"
    """The library's own pipeline, read as its documentation shows, or our engine behind its contract."""
    properties: Mapping[str, object] = field(default_factory=dict)
    """Of OpenVINO's CPU plugin, beyond those that the options stand for."""

    def changed(self, **options: object) -> "Setup":
        """Return a copy with other options."""
        return replace(self, options=msgspec.structs.replace(self.options, **options))
