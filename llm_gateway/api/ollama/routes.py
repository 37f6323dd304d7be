"""The routes of Ollama's API."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from llm_gateway.api.ollama.answers_api import OllamaAnswersApi
from llm_gateway.api.ollama.models_api import OllamaModelsApi
from llm_gateway.api.ollama.refusals import refusing_routes
from llm_gateway.api.ollama.schema import ChatBody, EmbedBody, GenerateBody, ModelBody, PullBody
from llm_gateway.api.ollama.wire import OllamaJson, OllamaRoute
from llm_gateway.api.parts import ApiParts

API_VERSION: Final = "0.12.6"
"""The version of Ollama whose API is spoken here. VS Code wants at least 0.6.4, and numbers alone."""


def ollama_routes(parts: ApiParts) -> APIRouter:
    """All of /api; what is at / is shared with another dialect."""
    router = APIRouter(tags=["ollama"], route_class=OllamaRoute)
    router.include_router(_answer_routes(OllamaAnswersApi(parts)))
    router.include_router(_model_routes(OllamaModelsApi(parts)))
    router.include_router(refusing_routes())
    return router


def _answer_routes(api: OllamaAnswersApi) -> APIRouter:
    router = APIRouter(route_class=OllamaRoute)

    @router.post("/api/generate")
    async def generate(body: GenerateBody, request: Request) -> Response:
        """Answer a prompt, line by line unless `stream` is false; without a prompt, load or unload the model."""
        return await api.generate(body, request)

    @router.post("/api/chat")
    async def chat(body: ChatBody, request: Request) -> Response:
        """Answer a conversation, line by line unless `stream` is false; without messages, load or unload the model."""
        return await api.chat(body, request)

    @router.post("/api/embed")
    async def embed(body: EmbedBody) -> Response:
        """Always an error: the served models make no embeddings."""
        return api.embed(body)

    @router.post("/api/embeddings")
    async def embeddings(body: EmbedBody) -> Response:
        """Always an error, like /api/embed."""
        return api.embed(body)

    return router


def _model_routes(api: OllamaModelsApi) -> APIRouter:
    router = APIRouter(route_class=OllamaRoute)

    @router.head("/api/version", include_in_schema=False)
    @router.get("/api/version")
    async def api_version() -> Response:
        """The version of Ollama's API that is spoken; this gateway's own is at /version."""
        return OllamaJson({"version": API_VERSION})

    @router.head("/api/tags", include_in_schema=False)
    @router.get("/api/tags")
    async def tags() -> Response:
        """Every model on the volume."""
        return await api.tags()

    @router.get("/api/ps")
    async def running() -> Response:
        """The loaded model, or none."""
        return await api.running()

    @router.post("/api/show")
    async def show(body: ModelBody) -> Response:
        """One model on the volume: its size, context, template and abilities."""
        return await api.show(body)

    @router.post("/api/pull")
    async def pull(body: PullBody, request: Request) -> Response:
        """Check a model that is on the volume; for another, the error says how to fetch it."""
        return await api.pull(body, request)

    return router
