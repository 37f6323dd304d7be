"""Markers in text that comes in pieces: the last piece may end in the middle of one, or in the blanks before it."""

BLANKS = " \t\r\n"
"""What counts as layout around a marker, and is dropped there."""

MAX_LAYOUT_CHARACTERS = 256
"""Of more blanks than that, the first are text: a model that writes nothing else must not fill the memory."""


def num_begun(text: str, marker: str) -> int:
    """Count the characters at the end of `text` that could be the beginning of `marker`, and are not yet all of it."""
    for length in range(min(len(marker) - 1, len(text)), 0, -1):
        if marker.startswith(text[-length:]):
            return length
    return 0


def num_before_blanks(text: str) -> int:
    """Count the characters of `text` before the blanks at its end."""
    return max(len(text.rstrip(BLANKS)), len(text) - MAX_LAYOUT_CHARACTERS)
