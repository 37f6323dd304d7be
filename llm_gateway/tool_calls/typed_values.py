"""Read a parameter's value that a model wrote as plain text, by the type that the function's schema gives it."""

from collections.abc import Mapping

from llm_gateway.tool_calls.call_json import load_json

_LITERALS: Mapping[str, tuple[str, object]] = {
    "true": ("boolean", True),
    "True": ("boolean", True),
    "false": ("boolean", False),
    "False": ("boolean", False),
    "null": ("null", None),
    "None": ("null", None),
}
"""What the text says (templates show models Python's spelling too), the type it needs, and the value."""


def typed_value(text: str, schema: object) -> object:
    """Return the text where the schema allows a string, elsewhere what the JSON says, and if it is none the text."""
    types = _types(schema)
    literal = _LITERALS.get(text.strip())
    if literal is not None and literal[0] in types:
        return literal[1]
    if "string" in types or not types:
        return text
    value = load_json(text)
    return text if value is None else value


def _types(schema: object) -> frozenset[str]:
    if not isinstance(schema, Mapping):
        return frozenset()
    named = schema.get("type")
    types = frozenset([named] if isinstance(named, str) else named if isinstance(named, list | tuple) else [])
    for key in ("anyOf", "oneOf"):
        members = schema.get(key)
        if isinstance(members, list | tuple):
            types = types.union(*(_types(member) for member in members))
    return types
