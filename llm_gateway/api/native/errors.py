"""`{"error": sentence, "kind": word}`; a stream of plain text that fails is cut, since it has no frame to say so."""

from fastapi.responses import JSONResponse

from llm_gateway.api.dialect import TEXT, Dialect, json_error, object_schema
from llm_gateway.errors import GatewayError, NotReadyError


def _response(error: GatewayError) -> JSONResponse:
    body = {"error": str(error), "kind": error.kind}
    if isinstance(error, NotReadyError):
        body["phase"] = error.phase
    return json_error(error, body)


NATIVE = Dialect("native", _response, object_schema(error=TEXT, kind=TEXT), error_frames=None)
