"""The four shapes of a completion's prompt: a text, several texts, token ids, several lists of token ids."""

from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field

MAX_PROMPTS = 1024

Prompt: TypeAlias = str | tuple[int, ...]


def _as_prompts(value: object) -> object:
    """Make a list of prompts of whatever shape it is; each is a text or a list of ids."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not value:
        raise ValueError("expected a text, a list of texts, a list of token ids, or a list of such lists")
    if all(_is_id(one) for one in value):
        return [value]
    if not (all(isinstance(one, str) for one in value) or all(_is_list_of_ids(one) for one in value)):
        raise ValueError("a list holds either texts, or token ids, or lists of token ids, and not different kinds")
    return value


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_list_of_ids(value: object) -> bool:
    return isinstance(value, list) and all(_is_id(one) for one in value)


Prompts: TypeAlias = Annotated[
    tuple[Prompt, ...],
    BeforeValidator(_as_prompts, json_schema_input_type=str | list[str] | list[int] | list[list[int]]),
    Field(max_length=MAX_PROMPTS, description="A text, a list of texts, token ids, or a list of lists of token ids."),
]
