"""One JSON object a line, as Ollama streams them."""

from typing import Final

MEDIA_TYPE: Final = "application/x-ndjson"


def ndjson_line(json: bytes) -> bytes:
    """End one object's line."""
    return json + b"\n"
