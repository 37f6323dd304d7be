"""Render a conversation so that its control tokens are those that the template writes, whatever the messages say.

Most templates write each control token as one literal, which has a name by then. A token that a template puts together
from pieces has none; it counts as the template's own if it is there too when the messages lack every character that
such a token begins with.
"""

import re
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, TypeAlias, TypeVar

from llm_gateway.prompt.chat_template import ChatTemplate, ChatTemplateError
from llm_gateway.prompt.control_names import ControlNames, any_of

Messages: TypeAlias = Sequence[Mapping[str, object]]
_Value = TypeVar("_Value")
_PRIVATE: Final = (0xF0000, 0xFFFFE)
"""Plane 15 of Unicode, for private use: no filter of a template changes what is in there."""


def write_conversation(
    template: ChatTemplate,
    names: ControlNames,
    messages: Messages,
    variables: Mapping[str, object],
    *,
    add_generation_prompt: bool = True,
) -> str:
    """Render; the template's control tokens stand as their names, and all other text as it is.

    Raises:
        ChatTemplateError: the template refuses the conversation, fails on it, or produces too much.
    """
    knows_names = template.names is names
    render = template.render_named if knows_names else template.render
    composed = template.composed if knows_names else frozenset(names.tokens)
    text = render(messages, add_generation_prompt=add_generation_prompt, **variables)
    if not composed:
        return text
    mask, any_composed = _mask(composed, text), any_of(composed)
    try:
        masked_messages, masked_variables = mask.put_on(messages), mask.put_on(variables)
    except RecursionError as error:
        raise ChatTemplateError("messages or tools are nested too deep; make them flatter") from error
    if masked_messages != messages or masked_variables != variables:
        masked = render(masked_messages, add_generation_prompt=add_generation_prompt, **masked_variables)
        if any_composed.findall(masked) != any_composed.findall(text) or _spells(messages, variables, any_composed):
            text = masked
    return mask.taken_off(names.named(text, only=composed))


def _spells(messages: Messages, variables: Mapping[str, object], tokens: re.Pattern[str]) -> bool:
    """Whether any text that was sent has one of the tokens in it, be it written or not."""
    return any(tokens.search(text) for text in _texts([messages, variables]))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _texts(key)
            yield from _texts(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _texts(entry)


@dataclass(frozen=True, slots=True)
class _Mask:
    """Other characters in the place of some, one for one, since templates may count; none of them is in the text."""

    stand_ins: Mapping[str, str]

    def put_on(self, value: _Value) -> _Value:
        """Mask every text within, keys included."""
        return self._masked(value)  # type: ignore[return-value]  # the same shape comes back

    def taken_off(self, text: str) -> str:
        for character, stand_in in self.stand_ins.items():
            text = text.replace(stand_in, character)
        return text

    def _masked(self, value: object) -> object:
        if isinstance(value, str):
            return value.translate({ord(character): stand_in for character, stand_in in self.stand_ins.items()})
        if isinstance(value, Mapping):
            return {self._masked(key): self._masked(entry) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self._masked(entry) for entry in value)
        return value


def _mask(tokens: Collection[str], text: str) -> _Mask:
    """Choose for each character that a token begins with one for private use that the text has not."""
    masked, taken = sorted({token[0] for token in tokens}), set(text)
    free = (chr(code) for code in _from_anywhere(*_PRIVATE) if chr(code) not in taken)
    stand_ins = dict(zip(masked, free, strict=False))
    if len(stand_ins) < len(masked):
        raise ChatTemplateError("messages hold every character of Unicode's plane for private use; leave some out")
    return _Mask(stand_ins)


def _from_anywhere(start: int, stop: int) -> Iterator[int]:
    begin = start + secrets.randbelow(stop - start)
    return chain(range(begin, stop), range(start, begin))
