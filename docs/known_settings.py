"""Every setting as the documents show it, read from the settings classes; the order and Compose's own are here.

What a setting is called, its default and its meaning live in `llm_gateway/settings.py` and `model_fetcher/settings.py`.
"""

import ast
import inspect
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

import llm_gateway.settings
import model_fetcher.settings
import profiles

_BY_HAND = {"MODEL_STORE": "/models in containers, ~/.local/share/preheat with make run"}


@dataclass(frozen=True)
class Setting:
    """One variable; an empty default means that nothing is set."""

    name: str
    default: str
    choices: tuple[str, ...]
    sentence: str

    @property
    def in_profiles(self) -> dict[str, str]:
        """The profiles that say something else than the default, and what."""
        values = {name: profiles.read_profile(name).get(self.name, self.default) for name in profiles.PROFILE_NAMES}
        return {name: value for name, value in values.items() if value != self.default}


@dataclass(frozen=True)
class Group:
    """Settings that have the same reader."""

    title: str
    introduction: str
    settings: tuple[Setting, ...]


COMPOSE_ONLY = (
    Setting("CPU_LIMIT", "0", (), "Processors that Docker allows the gateway, such as 1.5; 0 is no limit."),
    Setting("PYTHON_IMAGE", "python:3.11-slim-bookworm", (), "The image that all images are built from."),
    Setting(
        "TORCH_INDEX_URL",
        "https://download.pytorch.org/whl/cpu",
        (),
        "Where torch's CPU build is installed from; empty is pip's usual index, which must have that build.",
    ),
)


def groups() -> tuple[Group, ...]:
    """Sort every setting under who reads it."""
    gateway = settings_of(llm_gateway.settings.Settings)
    fetcher = settings_of(model_fetcher.settings.Settings)
    return (
        Group(
            "Both services",
            "The fetcher prepares what these name, and the gateway serves it.",
            tuple(gateway[name] for name in gateway if name in fetcher),
        ),
        Group(
            "Gateway",
            "How requests are served.",
            tuple(gateway[name] for name in gateway if name not in fetcher),
        ),
        Group(
            "Fetcher",
            "Where weights come from and how they are checked. The gateway is given no `HF_TOKEN`.",
            tuple(fetcher[name] for name in fetcher if name not in gateway),
        ),
        Group("Docker Compose", "Read by `compose.yaml` alone; TORCH_INDEX_URL by `make` too.", COMPOSE_ONLY),
    )


def settings_of(settings: type[BaseSettings]) -> dict[str, Setting]:
    """Read one settings class; a field's sentence is its description, or the string below it."""
    below = _strings_below_fields(settings)
    return {
        name.upper(): Setting(
            name=name.upper(),
            default=_BY_HAND.get(name.upper(), _default(field)),
            choices=_choices(field.annotation),
            sentence=field.description or below.get(name, ""),
        )
        for name, field in settings.model_fields.items()
    }


def _strings_below_fields(settings: type[BaseSettings]) -> dict[str, str]:
    [definition] = ast.parse(inspect.getsource(settings)).body
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(text.value.value).replace("\n", " ")
        for field, text in zip(definition.body, definition.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    readers = {getattr(getattr(each, "func", None), "__name__", "") for each in field.metadata}
    if value is None:
        return "auto" if "_parse_auto" in readers else ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return str(value.value)
    if "parse_bytes" in readers:
        return f"{value >> 20}MiB"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _choices(annotation: object) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(member.value for member in annotation)
    return ("true", "false") if annotation is bool else ()
