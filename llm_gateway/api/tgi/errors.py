"""`{"error", "error_type"}`, before a stream and in the middle of one, with the sentences that TGI's clients know."""

import msgspec
from fastapi.responses import JSONResponse

from llm_gateway.api.dialect import TEXT, Dialect, json_error, object_schema
from llm_gateway.errors import (
    BodyTooLargeError,
    GatewayError,
    GenerationFailedError,
    InvalidRequestError,
    NotReadyError,
    OverloadedError,
    PromptTooLongError,
)

_VALIDATION = 422
_GENERATION = 424
_EVENT = b"data:%s\n\n"


def error_body(error: GatewayError) -> dict[str, str]:
    """The body, or the payload of the event that ends a stream."""
    match error:
        case PromptTooLongError():
            return {"error": f"Input validation error: {_too_long(error)}", "error_type": "validation"}
        case InvalidRequestError() | BodyTooLargeError():
            return {"error": f"Input validation error: {error}", "error_type": "validation"}
        case OverloadedError():
            return {"error": f"Model is overloaded: {error}", "error_type": "overloaded"}
        case NotReadyError():
            return {"error": str(error), "error_type": "healthcheck"}
        case GenerationFailedError():
            return {"error": f"Request failed during generation: {error}", "error_type": "generation"}
    return {"error": str(error), "error_type": error.kind}


def status_of(error: GatewayError) -> int:
    """TGI's own status for the error."""
    if isinstance(error, PromptTooLongError):
        return _VALIDATION
    return _GENERATION if type(error) is GenerationFailedError else error.status


def _too_long(error: PromptTooLongError) -> str:
    if error.max_tokens is None:
        return f"`inputs` must have less than {error.context_tokens} tokens. Given: {error.prompt_tokens}"
    return (
        f"`inputs` tokens + `max_new_tokens` must be <= {error.context_tokens}. "
        f"Given: {error.prompt_tokens} `inputs` tokens and {error.max_tokens} `max_new_tokens`"
    )


def _response(error: GatewayError) -> JSONResponse:
    return json_error(error, error_body(error), status=status_of(error))


def _frames(error: GatewayError) -> bytes:
    return _EVENT % msgspec.json.encode(error_body(error))


TGI = Dialect("tgi", _response, object_schema(error=TEXT, error_type=TEXT), _frames)
