"""Errors on their way out: whatever went wrong becomes a `GatewayError`, and the dialect of the request renders it."""

from collections.abc import Sequence

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from llm_gateway.api.dialects import current_dialect
from llm_gateway.errors import GatewayError, InvalidRequestError
from llm_gateway.telemetry.request_record import current_record

_TAGS = frozenset({"native", "tgi", "openai"})
"""Where a body can be of two dialects, validation puts the chosen one's name before the field's."""


class MalformedBodyError(InvalidRequestError):
    """The body is not JSON at all."""

    status = 400
    kind = "malformed_body"


class NoSuchRouteError(GatewayError):
    """The path, or the method on it, is not served."""

    kind = "no_such_route"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class UnexpectedError(GatewayError):
    """A bug; what it was is in the log alone."""


def error_response(error: GatewayError) -> JSONResponse:
    """Answer with the error, in the request's own dialect."""
    current_record.get().error = str(error)
    return current_dialect().error_response(error)


async def on_gateway_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, GatewayError)
    return error_response(error)


async def on_invalid_body(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return error_response(from_validation(error.errors()))


async def on_http_exception(_request: Request, error: Exception) -> JSONResponse:
    """Unknown paths, wrong methods and unreadable bodies, in the same shape as everything else."""
    assert isinstance(error, HTTPException)
    if error.status_code == MalformedBodyError.status:
        return error_response(MalformedBodyError("the body is not JSON: it is no UTF-8 text, or nested too deeply"))
    response = error_response(NoSuchRouteError(f"{error.detail}; GET /docs lists what there is", error.status_code))
    response.headers.update(error.headers or {})
    return response


async def on_too_deep_body(_request: Request, _error: Exception) -> JSONResponse:
    """JSON that the parser still took, and that something which descends into it cannot follow."""
    return error_response(MalformedBodyError("the body is nested too deeply; make it flatter"))


async def on_unexpected_error(_request: Request, _error: Exception) -> JSONResponse:
    """A bug of ours: the client gets a sentence, the log gets the traceback.

    A stream that was cut comes here too. Its answer has begun, so this one is not sent, and its record has the reason.
    """
    error = UnexpectedError("something went wrong inside; the log has it under this X-Request-ID")
    if current_record.get().error is None:
        return error_response(error)
    return current_dialect().error_response(error)


def from_validation(problems: Sequence[object]) -> InvalidRequestError:
    """Turn what pydantic found first into one sentence that names the field."""
    problem = problems[0]
    assert isinstance(problem, dict)
    if problem["type"] == "json_invalid":
        return MalformedBodyError(f"the body is not JSON: {problem.get('ctx', {}).get('error', problem['msg'])}")
    if isinstance(problem.get("input"), bytes):
        return InvalidRequestError("the body was not sent as JSON; add the header Content-Type: application/json")
    place = [str(part) for part in problem["loc"] if part != "body"]
    field = ".".join(place[1:] if place and place[0] in _TAGS else place) or "the body"
    reason = str(problem["msg"]).removeprefix("Value error, ")
    return InvalidRequestError(f"{field}: {reason[:1].lower()}{reason[1:]}", field=field)
