"""The routes below /v1, and /detokenize; `POST /tokenize` is shared with another dialect, in `api/shared_routes.py`."""

from typing import Annotated, NoReturn

import msgspec
from fastapi import APIRouter, Body, Request
from fastapi.responses import Response

from llm_gateway.api.disconnect import unless_client_leaves
from llm_gateway.api.openai import batch, tokenize
from llm_gateway.api.openai.answers import Answers
from llm_gateway.api.openai.errors import prompt_is_in
from llm_gateway.api.openai.models import Models
from llm_gateway.api.openai.schema import ChatBody, CompletionBody, DetokenizeBody, EmbeddingsBody, TokenizeBody
from llm_gateway.api.parts import ApiParts
from llm_gateway.api.served_model import ServedModel
from llm_gateway.api.streaming import stream
from llm_gateway.errors import UnsupportedError
from llm_gateway.stream import sse
from llm_gateway.telemetry.request_record import current_record

_ALIASES = frozenset({"tgi", "dummy"})
"""What huggingface_hub's clients send as the model's name when they know a URL alone."""


class OpenAiApi:
    """What the routes do."""

    def __init__(self, parts: ApiParts) -> None:
        self._parts = parts
        self._served = ServedModel(parts.settings.model_name, _ALIASES)
        self._answers = Answers(parts, self._served)
        self.models = Models(parts, self._served)

    async def chat(self, body: ChatBody, request: Request) -> Response:
        """Answer a chat, at once or as a stream."""
        record = current_record.get()
        if body.stream:
            with prompt_is_in("messages"):
                frames = await self._answers.chat_stream(body, record)
                return await stream(request, frames, sse.MEDIA_TYPE, sse.HEADERS)
        return json_answer(await unless_client_leaves(request, self._answers.chat(body, record)))

    async def complete(self, body: CompletionBody, request: Request) -> Response:
        """Complete one or several prompts, at once or as a stream."""
        record = current_record.get()
        if body.stream:
            with prompt_is_in("prompt"):
                frames = await unless_client_leaves(request, self._answers.completion_stream(body, record))
                return await stream(request, frames, sse.MEDIA_TYPE, sse.HEADERS)
        return json_answer(await unless_client_leaves(request, self._answers.completion(body, record)))

    async def complete_batch(self, items: list[object], request: Request) -> Response:
        """Answer a list of requests, each by itself."""
        await unless_client_leaves(request, self._parts.generator.model(current_record.get()))
        answering = batch.answer_batch(items, self._answers, current_record.get())
        return json_answer(await unless_client_leaves(request, answering))

    async def tokenize(self, body: TokenizeBody, request: Request) -> Response:
        """Tokenize a text or a conversation."""
        self._served.check(body.model)
        answering = tokenize.tokenize(body, self._parts.tokenization, current_record.get().request_id)
        return json_answer(await unless_client_leaves(request, answering))

    async def detokenize(self, body: DetokenizeBody, request: Request) -> Response:
        """Turn token ids back into text."""
        self._served.check(body.model)
        return json_answer(await unless_client_leaves(request, tokenize.detokenize(body, self._parts.tokenization)))

    def embed(self, body: EmbeddingsBody) -> NoReturn:
        """Say that there are no embeddings."""
        self._served.check(body.model)
        raise UnsupportedError(
            f"{self._served.name} does not support embeddings, it is a model that answers; "
            "use POST /v1/chat/completions, or another server for embeddings",
            field="model",
        )


def openai_routes(api: OpenAiApi) -> APIRouter:
    """The routes that are this dialect's alone."""
    router = APIRouter(tags=["openai"])

    @router.post("/v1/chat/completions")
    async def chat_completions(body: ChatBody, request: Request) -> Response:
        """Answer a conversation; with `stream` as server-sent events, which end with `data: [DONE]`."""
        return await api.chat(body, request)

    @router.post("/v1/completions")
    async def completions(body: CompletionBody, request: Request) -> Response:
        """Go on with one or several texts as they are, without the chat template."""
        return await api.complete(body, request)

    @router.post("/v1/completions/batch")
    async def completions_batch(
        items: Annotated[list[object], Body(examples=[batch.EXAMPLE])], request: Request
    ) -> Response:
        """Answer a list of requests in order; an item with `messages` is a chat's, and one that fails, fails alone."""
        return await api.complete_batch(items, request)

    @router.get("/v1/models")
    async def models() -> Response:
        """List the model that is served."""
        return json_answer(await api.models.all())

    @router.get("/v1/models/{model:path}")
    async def model(model: str) -> Response:
        """Describe the model that is served."""
        return json_answer(await api.models.one(model))

    @router.post("/v1/embeddings")
    async def embeddings(body: EmbeddingsBody) -> Response:
        """Refused: the model that is served answers, it does not embed."""
        api.embed(body)

    @router.post("/detokenize")
    async def detokenize(body: DetokenizeBody, request: Request) -> Response:
        """Turn token ids back into the text that they stand for, special tokens included."""
        return await api.detokenize(body, request)

    return router


def json_answer(answer: object) -> Response:
    """Send an answer as JSON."""
    return Response(msgspec.json.encode(answer), media_type="application/json")
