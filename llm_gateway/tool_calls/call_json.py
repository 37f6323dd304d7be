"""Read a tool call from its JSON text, as models write it: nearly always right, and never to be trusted."""

import json
import math
import re
from collections.abc import Mapping

from llm_gateway.generation import ToolCall

_ARGUMENT_KEYS = ("arguments", "parameters")
_FIRST_KEYS = ("name", "type", "id", *_ARGUMENT_KEYS)
_MAX_BLANKS = 255
_FIRST_KEY = re.compile(rf'\{{\s{{0,{_MAX_BLANKS}}}"(?P<key>[^"]*)(?P<closing>"?)')


def read_call(text: str, *, lenient: bool) -> ToolCall | None:
    """Read `{"name": ..., "arguments": {...}}`, with "parameters" for "arguments"; None if it is no such thing.

    `lenient` takes a call without arguments too, which is right where a marker says that it is a call.
    """
    call = load_json(text)
    if not isinstance(call, dict) or not isinstance(name := call.get("name"), str) or not _is_name(name):
        return None
    key = next((key for key in _ARGUMENT_KEYS if key in call), None)
    if key is None:
        return ToolCall(name, "{}") if lenient else None
    arguments = call[key]
    if arguments is None or arguments == "":
        arguments = {}
    elif isinstance(arguments, str):
        # Some models write what OpenAI's clients get: the arguments as a string with JSON in it.
        arguments = load_json(arguments)
    return write_call(name, arguments)


def read_named_call(name: str, text: str) -> ToolCall | None:
    """Read the arguments of a call whose name stood before them; None if they are no JSON object."""
    return write_call(name, load_json(text))


def write_call(name: str, arguments: object) -> ToolCall | None:
    """Make the call, its arguments as JSON text; None if they are no object, or there is no text for them."""
    if not isinstance(arguments, Mapping):
        return None
    try:
        text = json.dumps(arguments, ensure_ascii=False)
        if not _is_unicode(text):
            text = json.dumps(arguments)
    except RecursionError:
        return None
    return ToolCall(name, text)


def may_be_call(beginning: str) -> bool | None:
    """Judge from the beginning of an object whether it can be a call; None while more of it is needed."""
    found = _FIRST_KEY.match(beginning)
    if found is None:
        return None if not beginning[1:].strip() and len(beginning) <= 1 + _MAX_BLANKS else False
    if found["closing"]:
        return found["key"] in _FIRST_KEYS
    return None if any(first.startswith(found["key"]) for first in _FIRST_KEYS) else False


def load_json(text: str) -> object:
    """Parse JSON, raw line breaks in strings included, which models like to write; None for what is no JSON."""
    try:
        value: object = json.loads(text, strict=False, parse_float=_finite, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is no JSON number that can be written again")


def _is_name(name: str) -> bool:
    return bool(name) and _is_unicode(name)


def _is_unicode(text: str) -> bool:
    """Whether UTF-8 can carry it: an escaped half of a surrogate pair is JSON, and no character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
