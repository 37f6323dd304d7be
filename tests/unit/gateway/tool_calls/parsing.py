"""What the tests of tool-call formats share: two functions, a way to parse an answer in pieces, and ways to cut one."""

from collections.abc import Sequence

from hypothesis import strategies as st

from llm_gateway.generation import Tool, ToolCall
from llm_gateway.tool_calls.base import ToolCallParser


def tool(name: str, parameters: dict[str, object]) -> Tool:
    return Tool(name, parameters, {"type": "function", "function": {"name": name, "parameters": parameters}})


WEATHER = tool(
    "get_weather",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
        "required": ["city"],
    },
)
CLOCK = tool("clock", {"type": "object", "properties": {}})
TOOLS = (WEATHER, CLOCK)


def parse(parser: ToolCallParser, pieces: Sequence[str]) -> tuple[str, list[ToolCall]]:
    parsed = [*(parser.push(piece) for piece in pieces), parser.flush()]
    return "".join(each.text for each in parsed), [call for each in parsed for call in each.calls]


@st.composite
def cut(draw: st.DrawFn, text: str) -> list[str]:
    """Cut a text into pieces, some of them empty."""
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=len(text) + 2)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
