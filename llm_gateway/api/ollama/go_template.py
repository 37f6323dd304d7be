"""The prompt templates that clients send with /api/generate: as much of Go's text/template as such templates use.

These actions are known: `{{ .System }}`, `{{ .Prompt }}`, `{{ .Response }}`, `{{ if .System }}`, `{{ else }}`,
`{{ end }}`, comments, and `{{-` and `-}}`, which trim the blanks beside them. Any other is refused by its name, since
a template that is understood in part makes a wrong prompt. What comes after `{{ .Response }}` follows the answer: the
prompt ends there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from llm_gateway.errors import InvalidRequestError
from llm_gateway.prompt.chat_template import MAX_RENDERED_CHARACTERS

_BLANKS: Final = " \t\r\n"
_TRIM_BEFORE: Final = re.compile(r"-(?=\s)")
_TRIM_AFTER: Final = re.compile(r"(?<=\s)-\Z")
_FIELD: Final = re.compile(r"\.(System|Prompt|Response)")
_IF: Final = re.compile(r"if\s+\.(System|Prompt|Response)")
_COMMENT: Final = re.compile(r"/\*.*\*/", re.DOTALL)
_LONGEST_SHOWN: Final = 80
_KNOWN: Final = "{{ .System }}, {{ .Prompt }}, {{ .Response }}, {{ if .System }}, {{ else }} and {{ end }} are known"


class _Branches:
    """The `if`s that are open at one place of a template."""

    def __init__(self) -> None:
        self._taken: list[bool] = []
        self._has_else: list[bool] = []
        self._num_skipped = 0

    @property
    def all_taken(self) -> bool:
        """Whether what stands here is part of the prompt."""
        return self._num_skipped == 0

    def open(self, *, taken: bool) -> None:
        self._taken.append(taken)
        self._has_else.append(False)
        self._num_skipped += not taken

    def turn(self, action: str) -> None:
        """Go on to the other branch, or leave both."""
        if action not in {"else", "end"}:
            shown = action[:_LONGEST_SHOWN]
            raise InvalidRequestError(f"template has the action {{{{ {shown} }}}}; only {_KNOWN}", field="template")
        if not self._taken or (action == "else" and self._has_else[-1]):
            raise InvalidRequestError(f"template has an {{{{ {action} }}}} without its {{{{ if }}}}", field="template")
        taken = self._taken.pop()
        self._has_else.pop()
        self._num_skipped -= not taken
        if action == "else":
            self.open(taken=not taken)
            self._has_else[-1] = True

    def check_closed(self) -> None:
        if self._taken:
            raise InvalidRequestError("template has an {{ if }} without its {{ end }}", field="template")


@dataclass(frozen=True, slots=True)
class FilledTemplate:
    """A template that was filled in, up to where the answer goes."""

    text: str
    user_spans: tuple[tuple[int, int], ...]
    """Where system and prompt stand in it: start and stop, in characters."""


def render_go_template(template: str, *, system: str, prompt: str) -> FilledTemplate:
    """Fill a template in, up to where the answer goes.

    Raises:
        InvalidRequestError: it has an action that is not known here, is not a template, or produces too much.
    """
    values = {"System": system, "Prompt": prompt, "Response": ""}
    written: list[str] = []
    spans: list[tuple[int, int]] = []
    length = 0
    branches = _Branches()
    answered = False
    for text, action in _pieces(template):
        writes = not answered and branches.all_taken
        if writes:
            written.append(text)
            length += len(text)
        if action is None or _COMMENT.fullmatch(action):
            continue
        if field := _FIELD.fullmatch(action):
            if writes:
                value = values[field[1]]
                written.append(value)
                if value:
                    spans.append((length, length + len(value)))
                length += len(value)
                _check_length(length)
                answered = field[1] == "Response"
        elif condition := _IF.fullmatch(action):
            branches.open(taken=bool(values[condition[1]]))
        else:
            branches.turn(action)
    branches.check_closed()
    return FilledTemplate("".join(written), tuple(spans))


def _check_length(characters: int) -> None:
    """Stop a template that repeats the prompt before it takes the memory."""
    if characters > MAX_RENDERED_CHARACTERS:
        raise InvalidRequestError(
            f"template makes a prompt of more than {MAX_RENDERED_CHARACTERS} characters; repeat less in it",
            field="template",
        )


def _pieces(template: str) -> Iterator[tuple[str, str | None]]:
    """Yield each text, trimmed as the actions beside it say, with the action after it; the last has none."""
    begin, trims = 0, False
    while (opening := template.find("{{", begin)) >= 0:
        closing = template.find("}}", opening)
        if closing < 0:
            raise InvalidRequestError("template has a {{ without its }}", field="template")
        inner = template[opening + 2 : closing]
        trims_before, trims_after = _TRIM_BEFORE.match(inner), _TRIM_AFTER.search(inner[-2:])
        text = _trimmed(template[begin:opening], at_begin=trims, at_end=trims_before is not None)
        yield text, inner[bool(trims_before) : len(inner) - bool(trims_after)].strip()
        begin, trims = closing + 2, trims_after is not None
    yield _trimmed(template[begin:], at_begin=trims, at_end=False), None


def _trimmed(text: str, *, at_begin: bool, at_end: bool) -> str:
    text = text.lstrip(_BLANKS) if at_begin else text
    return text.rstrip(_BLANKS) if at_end else text
