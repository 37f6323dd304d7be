"""The format of Hermes and Qwen: `<tool_call>`, a JSON object, `</tool_call>`, as often as there are calls.

Source: the chat templates of NousResearch's Hermes 2 Pro and 3 and of Qwen2.5 and Qwen3.
"""

from collections.abc import Sequence

from llm_gateway.generation import Tool
from llm_gateway.tool_calls.base import ToolCallParser
from llm_gateway.tool_calls.forced_calls import ForcedLayout, forced_calls_grammar
from llm_gateway.tool_calls.json_calls import CallLayout, JsonCallParser

BEGIN = "<tool_call>"
END = "</tool_call>"

_LAYOUT = CallLayout(marker=BEGIN, closing=END, arrays=True, repeats=True)
_FORCED = ForcedLayout(opening=f"{BEGIN}\n", closing=f"\n{END}", between="\n")


class Hermes:
    """Calls stand in marks of their own, so any function's name is taken for a call, and text may stand around them."""

    name = "hermes"
    marker_tokens = frozenset({BEGIN, END})

    def parser(self, tools: Sequence[Tool], *, forced: bool) -> ToolCallParser:  # noqa: ARG002 - the marks stay
        return JsonCallParser(_LAYOUT, frozenset(tool.name for tool in tools))

    def grammar(self, tools: Sequence[Tool], *, parallel: bool, vocabulary_tokens: int) -> str:
        return forced_calls_grammar(tools, _FORCED, parallel=parallel, vocabulary_tokens=vocabulary_tokens)
