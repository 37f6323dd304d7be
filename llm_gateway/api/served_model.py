"""The names under which clients may ask for the one model that is served."""

from dataclasses import dataclass

from llm_gateway.errors import UnknownModelError


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model's name, and which others mean it."""

    name: str
    aliases: frozenset[str] = frozenset()

    def accepts(self, asked: str | None) -> bool:
        """Whether this name means the served model; none does, and Ollama's clients add a tag to any."""
        return not asked or asked.removesuffix(":latest") in {self.name, *self.aliases}

    def check(self, asked: str | None) -> None:
        """Refuse every other name.

        Raises:
            UnknownModelError: it is another model's.
        """
        if not self.accepts(asked):
            raise UnknownModelError(f"model is {asked!r}, this gateway serves {self.name!r}")
