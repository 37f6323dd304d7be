"""The formats of Mistral: `[TOOL_CALLS]` and then an array of calls, or `[TOOL_CALLS]name[ARGS]{...}` for each call.

The array is what tokenizers up to version 7 write, the name what versions from 11 on do, some of them with
`[CALL_ID]` and an id behind it. All the marks are special tokens, so a forced answer is the bare array in either case.
Source: the chat templates of Mistral 7B v0.3, Mistral Small 3.1 and 3.2, and Ministral 3.
"""

import re
from collections.abc import Sequence

from llm_gateway.generation import Tool
from llm_gateway.tool_calls.base import ToolCallParser
from llm_gateway.tool_calls.forced_calls import ForcedLayout, forced_calls_grammar
from llm_gateway.tool_calls.json_calls import CallLayout, JsonCallParser

MARKER = "[TOOL_CALLS]"

_HEAD = re.compile(r"(?P<name>[\w.\-]+)[ \t]*(?:\[CALL_ID\][ \t]*[\w\-]*[ \t]*)?(?:\[ARGS\][ \t]*)?", re.ASCII)
_LAYOUT = CallLayout(marker=MARKER, arrays=True, head=_HEAD)
_FORCED_LAYOUT = CallLayout(bare=True, arrays=True)
_FORCED = ForcedLayout(before_all="[", between=", ", after_all="]")


class Mistral:
    """Calls stand after a mark, so any function's name is taken for a call, and text may stand around them."""

    name = "mistral"
    marker_tokens = frozenset({MARKER, "[ARGS]", "[CALL_ID]"})

    def parser(self, tools: Sequence[Tool], *, forced: bool) -> ToolCallParser:
        return JsonCallParser(_FORCED_LAYOUT if forced else _LAYOUT, frozenset(tool.name for tool in tools))

    def grammar(self, tools: Sequence[Tool], *, parallel: bool, vocabulary_tokens: int) -> str:
        return forced_calls_grammar(tools, _FORCED, parallel=parallel, vocabulary_tokens=vocabulary_tokens)
