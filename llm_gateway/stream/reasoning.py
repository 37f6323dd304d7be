"""Part a thinking model's reasoning, between `<think>` and `</think>`, from the answer that follows it.

Reasoning begins only at the very start of an answer, or before it, where the prompt ends with an opened `<think>`.
Blanks right after `<think>`, right before `</think>` and right after that are layout, and dropped.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from llm_gateway.tool_calls.markers import BLANKS, MAX_LAYOUT_CHARACTERS, num_before_blanks, num_begun

BEGIN = "<think>"
END = "</think>"
MARKER_TOKENS = frozenset({BEGIN, END})
"""Where a tokenizer calls these special, the detokenizer has to show them all the same."""

_OPENED = re.compile(r"<think>[ \t\r\n]*\Z")


def begins_inside(prompt_text: str) -> bool:
    """Whether the rendered prompt leaves the model in the middle of its reasoning."""
    return _OPENED.search(prompt_text) is not None


def can_think(template_source: str | None) -> bool:
    """Whether the chat template knows reasoning: then it writes it, cuts it out of earlier turns, or both."""
    return template_source is not None and END in template_source


@dataclass(frozen=True, slots=True)
class Split:
    """What became certain: reasoning, and text of the answer itself, which always comes after it."""

    reasoning: str = ""
    text: str = ""


class ReasoningSplitter:
    """The splitter of one answer; how the answer is cut into pieces makes no difference to what comes out."""

    def __init__(self, *, inside: bool) -> None:
        """Begin an answer; `inside` says that its prompt ended with an opened `<think>`."""
        self._inside = inside
        self._held = ""
        """Text of which it is not yet known what it is."""
        self._reasoning = ""
        self._text = ""
        self._step: Callable[[], bool] = self._start

    def push(self, text: str) -> Split:
        """Take the next piece and return what is certain by now; no half of a marker is among it."""
        self._held += text
        while self._step():
            pass
        return self._take()

    def flush(self) -> Split:
        """Return what was held back, at the end: reasoning that was never closed stays reasoning."""
        if self._inside:
            self._reasoning += self._held
        else:
            self._text += self._held
        self._held = ""
        return self._take()

    def _take(self) -> Split:
        split = Split(self._reasoning, self._text)
        self._reasoning = self._text = ""
        return split

    def _start(self) -> bool:
        begun = self._held.lstrip(BLANKS)
        too_far = len(self._held) - len(begun) > MAX_LAYOUT_CHARACTERS
        if begun.startswith(BEGIN) and not too_far:
            self._inside = True
            self._held = begun.removeprefix(BEGIN)
            self._step = self._blanks_before_reasoning
            return True
        if BEGIN.startswith(begun) and not too_far:
            return False
        self._step = self._blanks_before_reasoning if self._inside else self._answer
        return True

    def _blanks_before_reasoning(self) -> bool:
        self._held = self._held.lstrip(BLANKS)
        if self._held:
            self._step = self._within_reasoning
        return bool(self._held)

    def _within_reasoning(self) -> bool:
        reasoning, end, rest = self._held.partition(END)
        if end:
            self._reasoning += reasoning[: num_before_blanks(reasoning)]
            self._held = rest
            self._inside = False
            self._step = self._blanks_before_answer
            return True
        length = num_before_blanks(reasoning[: len(reasoning) - num_begun(reasoning, END)])
        self._reasoning += reasoning[:length]
        self._held = self._held[length:]
        return False

    def _blanks_before_answer(self) -> bool:
        self._held = self._held.lstrip(BLANKS)
        if self._held:
            self._step = self._answer
        return bool(self._held)

    def _answer(self) -> bool:
        self._text += self._held
        self._held = ""
        return False
