"""Bodies of lists that are as long as a body can be, and wrong from end to end."""

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel, FailFast, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from llm_gateway.api.native import schema as native
from llm_gateway.api.ollama import schema as ollama
from llm_gateway.api.openai import schema as openai
from llm_gateway.api.openai.tools import ToolDefinition, plan_tools
from llm_gateway.api.tgi import schema as tgi
from llm_gateway.errors import InvalidRequestError

BODIES = sorted(
    {
        found
        for schema in (native, ollama, openai, tgi)
        for found in vars(schema).values()
        if isinstance(found, type) and issubclass(found, BaseModel) and found.__name__.endswith("Body")
    },
    key=lambda body: (body.__module__, body.__name__),
)


def _lists(annotation: Any, metadata: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:  # noqa: ANN401
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _lists(inside[0], (*metadata, *inside[1:]))
    elif origin in (Union, types.UnionType):
        for one in inside:
            yield from _lists(one)
    elif origin is list:
        yield annotation, metadata
        yield from _lists(inside[0])


@pytest.mark.parametrize("body", BODIES, ids=lambda body: f"{body.__module__.split('.')[-2]}.{body.__name__}")
def test_every_list_of_a_body_is_left_at_its_first_wrong_item(body: type[BaseModel]) -> None:
    for name, field in body.model_fields.items():
        for kind, metadata in _lists(field.annotation, tuple(field.metadata)):
            marks = [mark for one in metadata for mark in (one.metadata if isinstance(one, FieldInfo) else [one])]
            assert any(isinstance(mark, FailFast) for mark in marks), f"{name}: {kind} has to be Items[...]"


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (native.GenerateBody, {"messages": [{}] * 1000}),
        (openai.ChatBody, {"messages": [{}] * 1000}),
        (openai.DetokenizeBody, {"tokens": [-1] * 1000}),
        (ollama.ChatBody, {"messages": [{}] * 1000}),
        (tgi.ChatTokenizeBody, {"messages": [{}] * 1000}),
    ],
)
def test_of_a_thousand_wrong_items_the_first_alone_is_reported(body: type[BaseModel], sent: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(body).validate_python(sent)
    assert refused.value.error_count() <= 2


def test_names_of_allowed_tools_are_looked_up_and_not_searched() -> None:
    tools = [ToolDefinition.model_validate({"function": {"name": f"tool_{n}"}}) for n in range(4000)]
    named = [{"function": {"name": tool.function.name}} for tool in tools]
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": named}}
    assert len(plan_tools(tools, choice).tools) == 4000
    named[-1] = {"function": {"name": "nobody"}}
    with pytest.raises(InvalidRequestError, match="nobody"):
        plan_tools(tools, choice)
