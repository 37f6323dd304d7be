"""Find out which control tokens a chat template puts together from pieces, so that no literal of it could be named.

`'<|' + message.role + '|>'` is a control token only when it is rendered. What such templates write is seen in a few
short conversations that hold no control token themselves.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from llm_gateway.prompt.control_names import ControlNames

Conversation: TypeAlias = Sequence[Mapping[str, object]]

_ROLES: Final = ("system", "assistant", "tool", "developer", "function", "ipython", "observation", "model")
_MOST_ASKED_FOR: Final = 8
_QUESTION: Final = {"role": "user", "content": "How warm is it?"}
_CALL: Final = {
    "id": "abcdefghi",
    "type": "function",
    "function": {"name": "measure", "arguments": {"place": "inside"}},
}


def tokens_without_names(
    names: ControlNames,
    render: Callable[[Conversation], str | None],
    render_named: Callable[[Conversation], str | None],
) -> frozenset[str] | None:
    """Compare both ways to render; None says that names change what is written, so that they cannot be used."""
    found: set[str] = set()
    written: set[str] = set()
    for conversation in _conversations():
        plain, named = render(conversation), render_named(conversation)
        if (None if named is None else names.restored(named)) != plain:
            return None
        found.update(names.spelled(named or ""))
        written.update(names.written(named or ""))
    for token in sorted(written)[:_MOST_ASKED_FOR]:
        # A template may look for a token of its own in a message, in ways that its literals do not show.
        quoting: Conversation = ({"role": "user", "content": f"What does {token} mean?"},)
        plain, named = render(quoting), render_named(quoting)
        if (None if named is None else names.restored(named)) != plain:
            return None
    return frozenset(found)


def _conversations() -> list[Conversation]:
    answer = {"role": "assistant", "content": "Twenty degrees."}
    called = {"role": "assistant", "content": "", "tool_calls": [_CALL]}
    measured = {"role": "tool", "name": "measure", "tool_call_id": "abcdefghi", "content": "20"}
    turns = [(_QUESTION, {"role": role, "content": "Twenty degrees."}) for role in _ROLES]
    return [
        (_QUESTION,),
        ({"role": "system", "content": "Be brief."}, _QUESTION),
        (_QUESTION, answer, _QUESTION),
        (_QUESTION, called, measured),
        *turns,
    ]
