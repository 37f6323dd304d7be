"""Calls from a model that was never taught to make any: the grammar forces plain JSON, and the prompt says what of.

One call is the object `{"name": ..., "arguments": {...}}`, and where several are allowed an array of such objects.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from llm_gateway.generation import Message, PromptSource, Tool
from llm_gateway.tool_calls.base import ToolCallParser
from llm_gateway.tool_calls.forced_calls import ForcedLayout, forced_calls_grammar
from llm_gateway.tool_calls.json_calls import CallLayout, JsonCallParser

_LAYOUT = CallLayout(bare=True, arrays=True)
_ONE = ForcedLayout(between="")
_SEVERAL = ForcedLayout(before_all="[", between=", ", after_all="]")


class BareJson:
    """Only for forced calls: without a format the model has no way to say whether it wants one."""

    name = "bare_json"
    marker_tokens: frozenset[str] = frozenset()

    def parser(self, tools: Sequence[Tool], *, forced: bool) -> ToolCallParser:  # noqa: ARG002 - there is but one way
        return JsonCallParser(_LAYOUT, frozenset(tool.name for tool in tools))

    def grammar(self, tools: Sequence[Tool], *, parallel: bool, vocabulary_tokens: int) -> str:
        return forced_calls_grammar(
            tools, _SEVERAL if parallel else _ONE, parallel=parallel, vocabulary_tokens=vocabulary_tokens
        )

    def shown_in(self, source: PromptSource, tools: Sequence[Tool]) -> PromptSource:
        """Describe the functions before the prompt's text, or before what the user says last.

        The words go to the user's turn because not every template has a place for a system message. A prompt of token
        ids, or one that is to be taken as it is, stays so: there the grammar alone has to do.
        """
        description = _description(tools)
        if source.messages is not None:
            return replace(source, messages=_with_description(source.messages, description))
        if source.text is not None and not source.raw:
            return replace(source, text=f"{description}\n\n{source.text}")
        return source


def _description(tools: Sequence[Tool]) -> str:
    functions = "\n".join(json.dumps(tool.definition.get("function", {}), ensure_ascii=False) for tool in tools)
    return (
        f'These functions can be called:\n{functions}\nReply with JSON: {{"name": function, "arguments": {{...}}}} '
        "for a call, in an array if there are several."
    )


def _with_description(messages: tuple[Message, ...], description: str) -> tuple[Message, ...]:
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message.get("role") == "user":
            described = {**message, "content": _before(message.get("content"), description)}
            return (*messages[:index], described, *messages[index + 1 :])
    return messages


def _before(content: object, description: str) -> object:
    if isinstance(content, list | tuple):
        return [{"type": "text", "text": description}, *content]
    return f"{description}\n\n{content or ''}"
