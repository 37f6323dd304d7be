"""Routes of Ollama's that change what is stored: the gateway never writes its volume, and says what to do instead."""

from typing import Final

from fastapi import APIRouter, Response

from llm_gateway.api.ollama.errors import NotOfferedError
from llm_gateway.api.ollama.wire import OllamaRoute

_FETCH: Final = "MODEL_NAME=<name> docker compose run --rm model_fetcher puts a model on the volume"
_REASON: Final = "this gateway never writes its volume"


def refusing_routes() -> APIRouter:
    """/api/create, /api/copy, /api/push, /api/delete and /api/blobs."""
    router = APIRouter(tags=["ollama"], route_class=OllamaRoute)

    @router.post("/api/create", status_code=NotOfferedError.status)
    async def create() -> Response:
        """Always an error: models are made by the fetcher."""
        raise NotOfferedError(f"{_REASON}, so no model can be created here; {_FETCH}, a folder of your own too")

    @router.post("/api/copy", status_code=NotOfferedError.status)
    async def copy() -> Response:
        """Always an error: models have one name here."""
        raise NotOfferedError(f"{_REASON}, so a model cannot be copied; ask for it by its own name")

    @router.post("/api/push", status_code=NotOfferedError.status)
    async def push() -> Response:
        """Always an error: nothing is published from here."""
        raise NotOfferedError("this gateway uploads nothing; publish the model from where it was made")

    @router.delete("/api/delete", status_code=NotOfferedError.status)
    async def delete() -> Response:
        """Always an error: whoever owns the volume removes models."""
        raise NotOfferedError(
            f"{_REASON}, so a model cannot be deleted here; docker compose run --rm model_fetcher remove <name> does it"
        )

    @router.post("/api/blobs/{digest}", status_code=NotOfferedError.status)
    async def put_blob(digest: str) -> Response:
        """Always an error: files come to the volume by the fetcher."""
        raise NotOfferedError(f"{_REASON}, so {digest} cannot be stored; {_FETCH}")

    @router.head("/api/blobs/{digest}", include_in_schema=False)
    async def has_blob(digest: str) -> Response:  # noqa: ARG001 - none is there
        return Response(status_code=404)

    return router
