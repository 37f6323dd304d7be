"""`{"error": sentence, "kind": word}`; a stream of plain text that fails is cut, since it has no frame to say so."""

from fastapi.responses import JSONResponse

from llm_gateway.api.dialect import Dialect, json_error
from llm_gateway.errors import GatewayError, NotReadyError


def _response(error: GatewayError) -> JSONResponse:
    body = {"error": str(error), "kind": error.kind}
    if isinstance(error, NotReadyError):
        body["phase"] = error.phase
    return json_error(error, body)


NATIVE = Dialect("native", _response, error_frames=None)
