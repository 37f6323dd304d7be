"""Models' names as Ollama's clients send them, and its words for what is wrong with one."""

from llm_gateway.errors import InvalidRequestError, UnknownModelError

_TAG = ":latest"


def plain_name(asked: str) -> str:
    """The name without the tag that clients add to any."""
    return asked.removesuffix(_TAG)


def required(asked: str) -> str:
    """Return the name.

    Raises:
        InvalidRequestError: there is none.
    """
    if not asked:
        raise InvalidRequestError("model is required", field="model")
    return asked


def not_found(asked: str, served: str) -> UnknownModelError:
    """The error for a name that means no model here."""
    return UnknownModelError(f"model '{asked}' not found, this gateway serves '{served}'")
