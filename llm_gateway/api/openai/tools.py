"""Tools: which functions the model may call, whether it must, and how its calls are written."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from llm_gateway.errors import InvalidRequestError
from llm_gateway.generation import Tool, ToolUse

_NO_PARAMETERS: Final[dict[str, object]] = {"type": "object", "properties": {}}
_WORDS: Final = {"none": ToolUse.NONE, "auto": ToolUse.AUTO, "required": ToolUse.REQUIRED}
_EXPECTED = 'expected "none", "auto", "required" or {"type": "function", "function": {"name": ...}}'


class FunctionDefinition(BaseModel):
    """A function as its caller describes it."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(min_length=1, max_length=256)
    description: str | None = None
    parameters: dict[str, object] | None = Field(None, description="JSON schema of the arguments.")


class ToolDefinition(BaseModel):
    """A function that the model may call."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "function",
                    "function": {
                        "name": "get_weather",
                        "parameters": {
                            "type": "object",
                            "properties": {"city": {"type": "string"}},
                            "required": ["city"],
                        },
                    },
                }
            ]
        },
    )

    type: Literal["function"] = "function"
    function: FunctionDefinition

    def to_tool(self) -> Tool:
        # `strict` is for the server alone; a model was never shown it.
        function = self.function.model_dump(exclude_unset=True, exclude={"strict"})
        parameters = function["parameters"] = self.function.parameters or _NO_PARAMETERS
        return Tool(self.function.name, parameters, {"type": "function", "function": function})


@dataclass(frozen=True, slots=True)
class ToolPlan:
    """What the request's tools come to."""

    tools: tuple[Tool, ...] = ()
    use: ToolUse = ToolUse.NONE
    forced: str | None = None


def plan_tools(definitions: Sequence[ToolDefinition] | None, choice: object) -> ToolPlan:
    """Bring tools and `tool_choice` together; without a choice, the model chooses.

    Raises:
        InvalidRequestError: the choice is none, or names a function that is not among the tools.
    """
    tools = tuple(definition.to_tool() for definition in definitions or ())
    use, names, only = _read_choice(choice)
    if not tools and use is ToolUse.REQUIRED:
        raise InvalidRequestError(
            "tool_choice asks for a call, but there are no tools; send tools", field="tool_choice"
        )
    if not tools or use is ToolUse.NONE:
        return ToolPlan()
    if names is not None:
        known = {tool.name for tool in tools}
        unknown = next((name for name in names if name not in known), None)
        if unknown is not None:
            raise InvalidRequestError(f"tool_choice names {unknown!r}, which is not among tools", field="tool_choice")
        allowed = frozenset(names)
        tools = tools if only else tuple(tool for tool in tools if tool.name in allowed)
    return ToolPlan(tools, use, names[0] if names and only else None)


def _read_choice(choice: object) -> tuple[ToolUse, list[str] | None, bool]:
    """Return how tools are used, which functions are named, and whether that is the one to be called."""
    if choice is None:
        return ToolUse.AUTO, None, False
    if isinstance(choice, str) and choice in _WORDS:
        return _WORDS[choice], None, False
    if isinstance(choice, dict):
        if choice.get("type") == "allowed_tools":
            return _read_allowed(choice.get("allowed_tools"))
        if choice.get("type", "function") == "function" and (name := _function_name(choice)) is not None:
            return ToolUse.REQUIRED, [name], True
    raise InvalidRequestError(f"tool_choice cannot be read, {_EXPECTED}", field="tool_choice")


def _read_allowed(allowed: object) -> tuple[ToolUse, list[str] | None, bool]:
    if isinstance(allowed, dict) and isinstance(tools := allowed.get("tools"), list) and tools:
        names = [_function_name(tool) for tool in tools]
        mode = allowed.get("mode")
        if mode in ("auto", "required") and all(name is not None for name in names):
            return _WORDS[mode], [name for name in names if name is not None], False
    raise InvalidRequestError(
        "tool_choice.allowed_tools cannot be read, expected a mode, auto or required, and tools with their names",
        field="tool_choice",
    )


def _function_name(named: object) -> str | None:
    function = named.get("function") if isinstance(named, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else None


def new_call_id() -> str:
    """Make an id by which the client will refer to a call."""
    return "call_" + secrets.token_hex(12)
