"""What /api/generate and /api/chat do: answer, load or unload; /api/embed says that there are no embeddings."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NoReturn

from fastapi import Request
from fastapi.responses import Response

from llm_gateway.api.collect import WholeAnswer, collect
from llm_gateway.api.disconnect import unless_client_leaves
from llm_gateway.api.ollama.answers import chat_answer, ending, generate_answer
from llm_gateway.api.ollama.chunks import StreamLines
from llm_gateway.api.ollama.errors import NotOfferedError
from llm_gateway.api.ollama.names import not_found, required
from llm_gateway.api.ollama.schema import AnswerBody, ChatBody, EmbedBody, GenerateBody
from llm_gateway.api.ollama.translate import chat_request, generate_request
from llm_gateway.api.ollama.wire import OllamaJson
from llm_gateway.api.parts import ApiParts
from llm_gateway.api.served_model import ServedModel
from llm_gateway.api.streaming import stream
from llm_gateway.generation import AnswerPiece, GenerationRequest
from llm_gateway.generator import Generator
from llm_gateway.models.pool import LoadedModel
from llm_gateway.stream.ndjson import MEDIA_TYPE
from llm_gateway.telemetry.request_record import RequestRecord, current_record


class OllamaAnswersApi:
    """Answers with the served model."""

    def __init__(self, parts: ApiParts) -> None:
        self._generator = parts.generator
        self._served = ServedModel(parts.settings.model_name)

    async def generate(self, body: GenerateBody, request: Request) -> Response:
        self._check(body.model)
        if not body.prompt:
            return OllamaJson(generate_answer(body.model, WholeAnswer(), done_reason=await self._switch(body, request)))
        wanted = generate_request(body, await self._model(request), current_record.get().request_id)
        return await self._answer(body, wanted, request)

    async def chat(self, body: ChatBody, request: Request) -> Response:
        self._check(body.model)
        if not body.messages:
            return OllamaJson(chat_answer(body.model, WholeAnswer(), done_reason=await self._switch(body, request)))
        wanted = chat_request(body, await self._model(request), current_record.get().request_id)
        return await self._answer(body, wanted, request)

    def embed(self, body: EmbedBody) -> NoReturn:
        """Refuse, in the words that Ollama has for a model that cannot."""
        self._check(body.asked)
        raise NotOfferedError("this model does not support embeddings")

    async def _answer(self, body: AnswerBody, wanted: GenerationRequest, request: Request) -> Response:
        record = current_record.get()
        if body.stream:
            return await stream(request, _lines(self._generator, wanted, record, StreamLines(body)), MEDIA_TYPE)
        (answer,) = await unless_client_leaves(request, collect(self._generator, wanted, record))
        write = chat_answer if isinstance(body, ChatBody) else generate_answer
        return OllamaJson(write(body.model, answer, **ending(answer, record, body)))

    async def _switch(self, body: AnswerBody, request: Request) -> str:
        """Load or unload the model, which is what a body without words asks for; returns the `done_reason`."""
        if body.unloads:
            await unless_client_leaves(request, self._generator.unload(current_record.get()))
            return "unload"
        await self._model(request)
        return "load"

    async def _model(self, request: Request) -> LoadedModel:
        """The loaded model, for what it can do; one that is loaded on demand is asked for here."""
        return await unless_client_leaves(request, self._generator.model(current_record.get()))

    def _check(self, asked: str) -> None:
        if not self._served.accepts(required(asked)):
            raise not_found(asked, self._served.name)


async def _lines(
    generator: Generator, wanted: GenerationRequest, record: RequestRecord, lines: StreamLines
) -> AsyncGenerator[bytes, None]:
    last = AnswerPiece(0)
    async with aclosing(generator.answer(wanted, record)) as pieces:
        async for last in pieces:
            if line := lines.of(last):
                yield line
    # Its figures are complete only now.
    yield lines.last(last, record)
