"""`{"error": sentence}`, and nothing else; the same as a line of its own where a stream has begun."""

from typing import Final

import msgspec
from fastapi.responses import JSONResponse

from llm_gateway.api.dialect import TEXT, Dialect, json_error, object_schema
from llm_gateway.errors import GatewayError, OverloadedError, UnsupportedError
from llm_gateway.stream.ndjson import ndjson_line

_VALIDATION_STATUS: Final = 422
_HEADERS: Final = {"Content-Type": "application/json; charset=utf-8"}


class NotOfferedError(UnsupportedError):
    """A route of Ollama's that this gateway cannot serve at all."""

    status = 501


def status_of(error: GatewayError) -> int:
    """Ollama's own status for the error: it knows neither 422 nor 429."""
    if isinstance(error, OverloadedError):
        return 503
    return 400 if error.status == _VALIDATION_STATUS else error.status


def sentence_of(error: GatewayError) -> str:
    """The sentence, after words that clients know; halves of characters that it quotes are escaped."""
    known = "server busy, please try again.  maximum pending requests exceeded: " * isinstance(error, OverloadedError)
    return f"{known}{error}".encode(errors="backslashreplace").decode()


def _response(error: GatewayError) -> JSONResponse:
    return json_error(error, {"error": sentence_of(error)}, status=status_of(error), headers=_HEADERS)


def _line(error: GatewayError) -> bytes:
    return ndjson_line(msgspec.json.encode({"error": sentence_of(error)}))


OLLAMA = Dialect("ollama", _response, object_schema(error=TEXT), _line)
