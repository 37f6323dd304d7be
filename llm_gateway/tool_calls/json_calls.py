"""Find calls written as JSON in an answer: after a marker, or from its first character, alone or in an array.

The formats differ in a few marks, which `CallLayout` has; the way through the text is the same in all of them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from llm_gateway.generation import ToolCall
from llm_gateway.tool_calls.base import Parsed
from llm_gateway.tool_calls.call_json import may_be_call, read_call, read_named_call
from llm_gateway.tool_calls.json_scanner import JsonScanner
from llm_gateway.tool_calls.markers import BLANKS, MAX_LAYOUT_CHARACTERS, num_before_blanks, num_begun

_MAX_HEAD_CHARACTERS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLayout:
    """The marks of a format; an empty one is not used."""

    marker: str = ""
    """What announces a call, wherever it stands."""
    closing: str = ""
    """What follows a call; an answer that leaves it out is understood all the same."""
    separator: str = ""
    """One character that may stand between calls."""
    bare: bool = False
    """The answer may begin with a call that no marker announces."""
    arrays: bool = False
    """Calls may stand in a JSON array."""
    repeats: bool = False
    """A call may follow the one before it without a marker of its own."""
    head: re.Pattern[str] | None = None
    """What may stand between marker and arguments instead of a whole object; its group `name` is the function."""


class JsonCallParser:
    """The parser of one answer.

    After a marker any function's name is taken, known or not: the client is told what the model wanted. Where nothing
    but its form says that an object is a call, it is one only if its name is among `known_names`.
    """

    def __init__(self, layout: CallLayout, known_names: frozenset[str]) -> None:
        self._layout = layout
        self._known_names = known_names
        self._announced = False
        """A marker stands before this call."""
        self._in_array = False
        self._name: str | None = None
        """The function of this call, where it stands before the arguments."""
        self._scanner = JsonScanner()
        self._pending = ""
        """Read already as part of a call; text, if the call turns out to be none."""
        self._held = ""
        """Not yet read."""
        self._text: list[str] = []
        self._calls: list[ToolCall] = []
        self._step: Callable[[], bool] = self._at_start if layout.bare else self._in_text

    def push(self, text: str) -> Parsed:
        """Take the next piece and return what is certain by now; no half of a marker is among it."""
        self._held += text
        while self._step():
            pass
        return self._take()

    def flush(self) -> Parsed:
        """Return what was held back, at the end; a call that never became whole is text."""
        if not self._is_layout():
            self._text.append(self._pending + self._held)
        self._pending = self._held = ""
        return self._take()

    def _is_layout(self) -> bool:
        """Whether all that was held back stands after a call: half a closing mark, or a separator and nothing more."""
        if self._step == self._before_call:
            separator = "," if self._in_array else self._layout.separator
            return separator != "" and self._pending.startswith(separator)
        return self._step == self._after_call

    def _take(self) -> Parsed:
        parsed = Parsed("".join(self._text), tuple(self._calls))
        self._text.clear()
        self._calls.clear()
        return parsed

    # Each step reads on from `_held` and says whether the next one can be taken; if not, more text is needed.

    def _at_start(self) -> bool:
        begun = self._held.lstrip(BLANKS)
        too_far = len(self._held) - len(begun) > MAX_LAYOUT_CHARACTERS
        if not begun and not too_far:
            return False
        opens_call = not too_far and (begun[0] == "{" or (begun[0] == "[" and self._layout.arrays))
        self._step = self._before_call if opens_call else self._in_text
        return True

    def _in_text(self) -> bool:
        marker = self._layout.marker
        if not marker:
            self._give_out(len(self._held))
            return False
        text, found, rest = self._held.partition(marker)
        if found:
            length = num_before_blanks(text)
            self._text.append(text[:length])
            self._pending = text[length:] + marker
            self._held = rest
            self._announced = True
            self._step = self._before_call
            return True
        self._give_out(num_before_blanks(text[: len(text) - num_begun(text, marker)]))
        return False

    def _before_call(self) -> bool:
        blanks = len(self._held) - len(self._held.lstrip(BLANKS))
        self._set_aside(blanks)
        if not self._held:
            return False
        self._name = None
        if self._held[0] == "{":
            self._scanner = JsonScanner()
            self._step = self._in_call
        elif self._held[0] == "[" and self._layout.arrays and not self._in_array:
            self._in_array = True
            self._set_aside(1)
        elif self._layout.head is not None and self._announced and not self._in_array:
            self._step = self._in_head
        else:
            self._was_no_call()
        return True

    def _in_head(self) -> bool:
        assert self._layout.head is not None
        length = self._held.find("{")
        if length < 0 and len(self._held) <= _MAX_HEAD_CHARACTERS and "\n" not in self._held:
            return False
        head = self._layout.head.fullmatch(self._held, 0, max(length, 0))
        if head is None or length > _MAX_HEAD_CHARACTERS:
            self._was_no_call()
            return True
        self._name = head["name"]
        self._set_aside(length)
        self._scanner = JsonScanner()
        self._step = self._in_call
        return True

    def _in_call(self) -> bool:
        if not self._announced and may_be_call(self._held) is False:
            self._was_no_call()
            return True
        end = self._scanner.end(self._held)
        if end is None:
            return False
        call = self._read(self._held[:end])
        self._set_aside(end)
        if call is None:
            self._was_no_call()
            return True
        self._calls.append(call)
        self._pending = ""
        self._step = self._after_call
        return True

    def _read(self, text: str) -> ToolCall | None:
        if self._name is not None:
            return read_named_call(self._name, text)
        call = read_call(text, lenient=self._announced)
        return call if call is None or self._announced or call.name in self._known_names else None

    def _after_call(self) -> bool:
        self._held = self._held.lstrip(BLANKS)
        if not self._held:
            return False
        if self._in_array:
            return self._after_element()
        layout = self._layout
        if layout.closing and self._held.startswith(layout.closing):
            self._held = self._held.removeprefix(layout.closing)
            self._step = self._after_closing
        elif layout.closing.startswith(self._held):
            return False
        elif layout.separator and self._held[0] == layout.separator:
            self._set_aside(1)
            self._step = self._before_call
        else:
            self._step = self._before_call if layout.repeats and self._held[0] == "{" else self._after_closing
        return True

    def _after_element(self) -> bool:
        if self._held[0] == ",":
            self._set_aside(1)
            self._step = self._before_call
        else:
            self._in_array = False
            self._held = self._held.removeprefix("]")
        return True

    def _after_closing(self) -> bool:
        self._held = self._held.lstrip(BLANKS)
        if self._held:
            self._announced = False
            self._step = self._in_text
        return bool(self._held)

    def _was_no_call(self) -> None:
        self._text.append(self._pending)
        self._pending = ""
        self._announced = self._in_array = False
        self._step = self._in_text

    def _set_aside(self, num_characters: int) -> None:
        self._pending += self._held[:num_characters]
        self._held = self._held[num_characters:]

    def _give_out(self, num_characters: int) -> None:
        self._text.append(self._held[:num_characters])
        self._held = self._held[num_characters:]
