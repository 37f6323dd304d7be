"""Server-sent events on the wire (WHATWG HTML, section 9.2), as far as streams of answers use them."""

from typing import Final

MEDIA_TYPE: Final = "text/event-stream"
HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""Proxies that collect an answer before they pass it on would take the point out of streaming it."""
DONE: Final = b"data: [DONE]\n\n"
"""The last event of an OpenAI stream; its clients stop reading there."""


def sse_event(json: bytes) -> bytes:
    """Frame one line of JSON as an event."""
    return b"data: " + json + b"\n\n"
