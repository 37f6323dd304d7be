"""What the routes of every dialect are made with."""

from dataclasses import dataclass

from llm_gateway.generator import Generator
from llm_gateway.lifecycle import Lifecycle
from llm_gateway.models.shelf import Shelf
from llm_gateway.settings import Settings
from llm_gateway.tokenization import Tokenization


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiParts:
    """The parts of the house that dialects use; nothing of it is theirs."""

    settings: Settings
    lifecycle: Lifecycle
    generator: Generator
    tokenization: Tokenization
    shelf: Shelf
