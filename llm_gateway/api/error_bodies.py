"""Errors on their way out: the native body, and one sentence for what validation found.

A dialect with a shape of its own renders the same `GatewayError` in its own folder.
"""

from collections.abc import Sequence

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from llm_gateway.errors import GatewayError, InvalidRequestError, NotReadyError
from llm_gateway.telemetry.request_record import current_record


class MalformedBodyError(InvalidRequestError):
    """The body is not JSON at all."""

    status = 400
    kind = "malformed_body"


class UnexpectedError(GatewayError):
    """A bug; what it was is in the log alone."""


def native_error(error: GatewayError) -> JSONResponse:
    """`{"error": sentence, "kind": word}`, with `Retry-After` where coming back makes sense."""
    record = current_record.get(None)
    if record is not None:
        record.error = str(error)
    body = {"error": str(error), "kind": error.kind}
    if isinstance(error, NotReadyError):
        body["phase"] = error.phase
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s is not None else None
    return JSONResponse(body, status_code=error.status, headers=headers)


async def on_gateway_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, GatewayError)
    return native_error(error)


async def on_invalid_body(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return native_error(from_validation(error.errors()))


async def on_http_exception(_request: Request, error: Exception) -> JSONResponse:
    """Unknown paths, wrong methods and unreadable bodies, in the same shape as everything else."""
    assert isinstance(error, HTTPException)
    if error.status_code == MalformedBodyError.status:
        return native_error(MalformedBodyError("the body is not JSON: it is no UTF-8 text, or nested too deeply"))
    body = {"error": f"{error.detail}; GET /docs lists what there is", "kind": "no_such_route"}
    return JSONResponse(body, status_code=error.status_code, headers=dict(error.headers or {}))


async def on_unexpected_error(_request: Request, _error: Exception) -> JSONResponse:
    """A bug of ours: the client gets a sentence, the log gets the traceback."""
    return native_error(UnexpectedError("something went wrong inside; the log has it under this X-Request-ID"))


def from_validation(problems: Sequence[object]) -> InvalidRequestError:
    """Turn what pydantic found first into one sentence that names the field."""
    problem = problems[0]
    assert isinstance(problem, dict)
    if problem["type"] == "json_invalid":
        return MalformedBodyError(f"the body is not JSON: {problem.get('ctx', {}).get('error', problem['msg'])}")
    if isinstance(problem.get("input"), bytes):
        return InvalidRequestError("the body was not sent as JSON; add the header Content-Type: application/json")
    field = ".".join(str(part) for part in problem["loc"] if part != "body") or "the body"
    reason = str(problem["msg"]).removeprefix("Value error, ")
    return InvalidRequestError(f"{field}: {reason[:1].lower()}{reason[1:]}")
