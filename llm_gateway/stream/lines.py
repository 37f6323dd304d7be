"""JSON in lines, for readers that know more ends of a line than the format does.

Events and JSON lines end with LF, and JSON escapes all control characters below U+0020. But Python's `str.splitlines`,
with which httpx and so the clients of Ollama and of the Hugging Face hub read streams, also ends a line at U+0085,
U+2028 and U+2029, which JSON may have in a string as they are.
"""

from typing import Final

_ESCAPES: Final = tuple((chr(code).encode(), b"\\u%04x" % code) for code in (0x85, 0x2028, 0x2029))


def with_escaped_line_ends(frame: bytes) -> bytes:
    """Escape them; outside of strings JSON has none, and in UTF-8 no other character holds their bytes."""
    for character, escape in _ESCAPES:
        frame = frame.replace(character, escape)
    return frame
