"""`{"error": {"message", "type", "param", "code"}}`, before a stream and in the middle of one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
from fastapi.responses import JSONResponse

from llm_gateway.api.dialect import TEXT, TEXT_OR_NULL, Dialect, json_error, object_schema
from llm_gateway.errors import GatewayError, InvalidRequestError, OverloadedError, PromptTooLongError, RateLimitedError
from llm_gateway.stream.sse import DONE, sse_event

_CODES: Final = {
    "prompt_too_long": "context_length_exceeded",
    "overloaded": "rate_limit_exceeded",
    "rate_limited": "rate_limit_exceeded",
    "not_ready": "model_loading",
}
_VALIDATION_STATUS: Final = 422
_NO_RETRY: Final = {"x-should-retry": "false"}
"""The official client would send the same request twice more after any 500."""


def error_object(error: GatewayError) -> dict[str, object]:
    """The object under `error`."""
    param = error.field if isinstance(error, InvalidRequestError) else None
    return {
        "message": _message(error),
        "type": _type(error),
        "param": param,
        "code": _CODES.get(error.kind, error.kind),
    }


@contextmanager
def prompt_is_in(field: str) -> Iterator[None]:
    """Name the field that a prompt came in, where it turns out to be too long."""
    try:
        yield
    except PromptTooLongError as error:
        error.field = error.field or field
        raise


def _message(error: GatewayError) -> str:
    if isinstance(error, PromptTooLongError):
        # Frameworks look for these words to tell that the conversation has to be shortened.
        return f"This model's maximum context length is {error.context_tokens} tokens: {error}"
    return str(error)


def _type(error: GatewayError) -> str:
    if isinstance(error, OverloadedError | RateLimitedError):
        return "rate_limit_error"
    return "invalid_request_error" if error.status < 500 else "server_error"


def _response(error: GatewayError) -> JSONResponse:
    status = 400 if error.status == _VALIDATION_STATUS else error.status  # OpenAI knows no 422
    headers = _NO_RETRY if error.status >= 500 and error.retry_after_s is None else None
    return json_error(error, {"error": error_object(error)}, status=status, headers=headers)


def _frames(error: GatewayError) -> bytes:
    return sse_event(msgspec.json.encode({"error": error_object(error)})) + DONE


_ERROR_OBJECT = object_schema(message=TEXT, type=TEXT, param=TEXT_OR_NULL, code=TEXT_OR_NULL)
OPENAI = Dialect("openai", _response, object_schema(error=_ERROR_OBJECT), _frames)
