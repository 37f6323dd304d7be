"""What a dialect is where errors are concerned: bodies, statuses and frames. Each folder here has its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from fastapi.responses import JSONResponse

from llm_gateway.errors import GatewayError

TEXT: Final = {"type": "string"}
TEXT_OR_NULL: Final = {"type": ["string", "null"]}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one family of clients wants to be told that something went wrong."""

    name: str
    error_response: Callable[[GatewayError], JSONResponse]
    """The whole answer, where nothing has been sent yet."""
    error_schema: dict[str, object]
    """JSON schema of its bodies, for the description of the routes."""
    error_frames: Callable[[GatewayError], bytes] | None
    """The end of a stream whose answer failed on the way; None closes the connection without an end."""


def object_schema(**properties: object) -> dict[str, object]:
    """JSON schema of an object in which all of these are required."""
    return {"type": "object", "required": list(properties), "properties": properties}


def json_error(
    error: GatewayError, body: object, *, status: int | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Answer with a body of the dialect's own shape, and `Retry-After` where coming back makes sense."""
    all_headers = dict(headers or {})
    if error.retry_after_s is not None:
        all_headers["Retry-After"] = str(error.retry_after_s)
    if error.status == HTTPStatus.UNAUTHORIZED:
        all_headers["WWW-Authenticate"] = "Bearer"  # RFC 9110, 15.5.2: a 401 names what would do
    return JSONResponse(body, status_code=error.status if status is None else status, headers=all_headers)
