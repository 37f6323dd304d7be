"""The format of Qwen3-Coder and Qwen3.5: the parameters of a call as text between tags, without JSON around them.

    <tool_call>
    <function=name>
    <parameter=key>
    value
    </parameter>
    </function>
    </tool_call>

A value is read by the type that the function's schema gives it. A forced answer is plain JSON, since a grammar can hold
that to the whole schema, and text between tags only to some of it.
Source: the chat template of Qwen3-Coder.
"""

import re
from collections.abc import Callable, Sequence

from llm_gateway.generation import Tool, ToolCall
from llm_gateway.tool_calls.bare_json import BareJson
from llm_gateway.tool_calls.base import Parsed, ToolCallParser
from llm_gateway.tool_calls.call_json import write_call
from llm_gateway.tool_calls.hermes import BEGIN, END
from llm_gateway.tool_calls.markers import BLANKS, num_before_blanks, num_begun
from llm_gateway.tool_calls.typed_values import typed_value

_FUNCTION_BEGIN = "<function="
_FUNCTION_END = "</function>"
_PARAMETER_END = "</parameter>"
_HEAD = re.compile(r"<function=(?P<name>[^<>\s]+)>[ \t\r\n]*")
_PARAMETER = re.compile(
    r"<parameter=(?P<key>[^<>\n]+)>\n?(?P<value>.*?)\n?</parameter>[ \t\r\n]*(?=<parameter=|</function>)", re.DOTALL
)


class QwenXml:
    """Calls stand in marks of their own, so any function's name is taken for a call, and text may stand around them."""

    name = "qwen_xml"
    marker_tokens = frozenset({BEGIN, END})

    def parser(self, tools: Sequence[Tool], *, forced: bool) -> ToolCallParser:
        return BareJson().parser(tools, forced=True) if forced else QwenXmlParser(tools)

    def grammar(self, tools: Sequence[Tool], *, parallel: bool, vocabulary_tokens: int) -> str:
        return BareJson().grammar(tools, parallel=parallel, vocabulary_tokens=vocabulary_tokens)


class QwenXmlParser:
    """The parser of one answer: a call is read when its last tag is there."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._schemas = {tool.name: tool.parameters for tool in tools}
        self._pending = ""
        """Blanks and the marker before a function; text, if none follows."""
        self._held = ""
        """Not yet read."""
        self._num_searched = 0
        """Up to where `_held` is known to hold no end of the function."""
        self._text: list[str] = []
        self._calls: list[ToolCall] = []
        self._step: Callable[[], bool] = self._in_text

    def push(self, text: str) -> Parsed:
        """Take the next piece and return what is certain by now; no half of a marker is among it."""
        self._held += text
        while self._step():
            pass
        return self._take()

    def flush(self) -> Parsed:
        """Return what was held back, at the end; a call whose last tag is missing is text."""
        if self._step != self._after_function:
            # After a function, what is held is the beginning of the mark that closes the call.
            self._text.append(self._pending + self._held)
        self._pending = self._held = ""
        return self._take()

    def _take(self) -> Parsed:
        parsed = Parsed("".join(self._text), tuple(self._calls))
        self._text.clear()
        self._calls.clear()
        return parsed

    # Each step reads on from `_held` and says whether the next one can be taken; if not, more text is needed.

    def _in_text(self) -> bool:
        text, found, rest = self._held.partition(BEGIN)
        if not found:
            text = text[: len(text) - num_begun(text, BEGIN)]
        length = num_before_blanks(text)
        self._text.append(text[:length])
        if not found:
            self._held = self._held[length:]
            return False
        self._pending = text[length:] + BEGIN
        self._held = rest
        self._step = self._before_function
        return True

    def _before_function(self) -> bool:
        function = self._held.lstrip(BLANKS)
        self._pending += self._held[: len(self._held) - len(function)]
        self._held = function
        if function.startswith(_FUNCTION_BEGIN):
            self._num_searched = 0
            self._step = self._in_function
            return True
        if _FUNCTION_BEGIN.startswith(function):
            return False
        self._was_no_call()
        return True

    def _in_function(self) -> bool:
        position = self._held.find(_FUNCTION_END, self._num_searched)
        if position < 0:
            self._num_searched = max(0, len(self._held) - len(_FUNCTION_END) + 1)
            return False
        self._num_searched = position + len(_FUNCTION_END)
        if not self._ends_at(position):
            return True
        call = self._read(position)
        if call is None:
            self._was_no_call()
            return True
        self._calls.append(call)
        self._pending = ""
        self._held = self._held[self._num_searched :]
        self._step = self._after_function
        return True

    def _ends_at(self, position: int) -> bool:
        """Whether the end tag at `position` is the function's own, and not part of a parameter's value."""
        while self._held[position - 1] in BLANKS:
            position -= 1
        head = _HEAD.match(self._held)
        return self._held.endswith(_PARAMETER_END, 0, position) or (head is None or head.end() >= position)

    def _read(self, end: int) -> ToolCall | None:
        head = _HEAD.match(self._held)
        if head is None:
            return None
        schema = self._schemas.get(head["name"], {}).get("properties")
        properties = schema if isinstance(schema, dict) else {}
        arguments: dict[str, object] = {}
        position = head.end()
        while position < end:
            parameter = _PARAMETER.match(self._held, position, end + len(_FUNCTION_END))
            if parameter is None:
                return None
            key = parameter["key"]
            arguments[key] = typed_value(parameter["value"], properties.get(key))
            position = parameter.end()
        return write_call(head["name"], arguments)

    def _after_function(self) -> bool:
        self._held = self._held.lstrip(BLANKS)
        if self._held.startswith(_FUNCTION_BEGIN):
            self._step = self._before_function
            return True
        if _FUNCTION_BEGIN.startswith(self._held) or (END.startswith(self._held) and self._held != END):
            return False
        self._held = self._held.removeprefix(END)
        self._step = self._after_call
        return True

    def _after_call(self) -> bool:
        self._held = self._held.lstrip(BLANKS)
        if self._held:
            self._step = self._in_text
        return bool(self._held)

    def _was_no_call(self) -> None:
        self._text.append(self._pending)
        self._pending = ""
        self._step = self._in_text
