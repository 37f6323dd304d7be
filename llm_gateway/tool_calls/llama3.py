"""The format of Llama 3.1 and later: an answer that is `{"name": ..., "parameters": {...}}`, and nothing announces it.

Some answers begin with `<|python_tag|>`; several calls stand after each other, or with semicolons between them.
Source: the chat templates of Llama 3.1, 3.2 and 3.3, and Meta's description of the prompt format.
"""

from collections.abc import Sequence

from llm_gateway.generation import Tool
from llm_gateway.tool_calls.base import ToolCallParser
from llm_gateway.tool_calls.forced_calls import ForcedLayout, forced_calls_grammar
from llm_gateway.tool_calls.json_calls import CallLayout, JsonCallParser

PYTHON_TAG = "<|python_tag|>"

_LAYOUT = CallLayout(marker=PYTHON_TAG, separator=";", bare=True, arrays=True, repeats=True)
_FORCED = ForcedLayout(between="; ", arguments_key="parameters")


class Llama3:
    """An object without the tag is a call only if it names one of the tools: it could as well be the answer."""

    name = "llama3"
    marker_tokens = frozenset({PYTHON_TAG})

    def parser(self, tools: Sequence[Tool], *, forced: bool) -> ToolCallParser:  # noqa: ARG002 - bare calls are known
        return JsonCallParser(_LAYOUT, frozenset(tool.name for tool in tools))

    def grammar(self, tools: Sequence[Tool], *, parallel: bool, vocabulary_tokens: int) -> str:
        return forced_calls_grammar(tools, _FORCED, parallel=parallel, vocabulary_tokens=vocabulary_tokens)
