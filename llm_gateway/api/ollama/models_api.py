"""What the routes about models do: list, show, tell which is loaded, and check one that is asked to be pulled."""

import asyncio

from fastapi import Request
from fastapi.responses import Response

from llm_gateway.api.ollama.model_views import list_entry, one_each, running_entry, show_answer
from llm_gateway.api.ollama.names import not_found, plain_name, required
from llm_gateway.api.ollama.pull import check, not_on_volume, pull_lines
from llm_gateway.api.ollama.schema import ModelBody, PullBody
from llm_gateway.api.ollama.wire import OllamaJson
from llm_gateway.api.parts import ApiParts
from llm_gateway.api.streaming import stream
from llm_gateway.lifecycle import Phase
from llm_gateway.models.shelf import ModelDescription
from llm_gateway.stream.ndjson import MEDIA_TYPE


class OllamaModelsApi:
    """Reads the volume and the lifecycle; loads nothing."""

    def __init__(self, parts: ApiParts) -> None:
        self._settings = parts.settings
        self._lifecycle = parts.lifecycle
        self._shelf = parts.shelf

    async def tags(self) -> OllamaJson:
        return OllamaJson({"models": [list_entry(model) for model in await self._all()]})

    async def show(self, body: ModelBody) -> OllamaJson:
        model = await self._find(required(body.asked))
        if model is None:
            raise not_found(body.asked, self._settings.model_name)
        return OllamaJson(show_answer(model, self._context_tokens(model)))

    async def running(self) -> OllamaJson:
        figures = self._lifecycle.figures
        if self._lifecycle.phase is not Phase.READY or figures is None:
            return OllamaJson({"models": []})
        model = await asyncio.to_thread(self._shelf.served)
        return OllamaJson({"models": [] if model is None else [running_entry(model, figures, self._lifecycle.device)]})

    async def pull(self, body: PullBody, request: Request) -> Response:
        model = await self._find(required(body.asked))
        if model is None:
            raise not_on_volume(plain_name(body.asked))
        if body.stream:
            return await stream(request, pull_lines(self._shelf, model), MEDIA_TYPE)
        await check(self._shelf, model)
        return OllamaJson({"status": "success"})

    async def _all(self) -> list[ModelDescription]:
        return one_each(await asyncio.to_thread(self._shelf.all))

    async def _find(self, asked: str) -> ModelDescription | None:
        name = plain_name(asked)
        return next((model for model in await self._all() if model.name == name), None)

    def _context_tokens(self, model: ModelDescription) -> int:
        """The context that is served, as soon as that is known; before, and for other models, what it would be."""
        if model.name == self._settings.model_name and self._lifecycle.figures is not None:
            return self._lifecycle.figures.context_tokens
        return min(model.context_tokens, self._settings.asked_context_tokens or model.context_tokens)
