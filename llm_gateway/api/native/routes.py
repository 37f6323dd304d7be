"""The native routes: /generate, /stream, /infer and /clear_cache."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import APIRouter, Request

from llm_gateway.api.collect import collect
from llm_gateway.api.disconnect import unless_client_leaves
from llm_gateway.api.native.schema import CacheAnswer, GenerateAnswer, GenerateBody, InferAnswer
from llm_gateway.api.native.translate import to_answer, to_generation
from llm_gateway.api.parts import ApiParts
from llm_gateway.api.served_model import ServedModel
from llm_gateway.api.streaming import FrameStream, stream
from llm_gateway.generation import GenerationRequest
from llm_gateway.generator import Generator
from llm_gateway.telemetry.request_record import RequestRecord, current_record


class NativeApi:
    """What the native routes do; `POST /generate` itself is shared with another dialect, in `api/shared_routes.py`."""

    def __init__(self, parts: ApiParts) -> None:
        self._generator = parts.generator
        self._served = ServedModel(parts.settings.model_name)

    async def generate(self, body: GenerateBody, request: Request) -> GenerateAnswer:
        """Answer all at once."""
        record = current_record.get()
        self._served.check(body.model)
        wanted = to_generation(body, record.request_id)
        answers = await unless_client_leaves(request, collect(self._generator, wanted, record))
        return to_answer(answers, record, self._served.name)

    async def stream_text(self, body: GenerateBody, request: Request) -> FrameStream:
        """Answer with the text alone, as it is made."""
        record = current_record.get()
        self._served.check(body.model)
        wanted = to_generation(body, record.request_id)
        return await stream(request, _text(self._generator, wanted, record), "text/plain; charset=utf-8")

    async def clear_cache(self, request: Request) -> CacheAnswer:
        freed_bytes = await unless_client_leaves(request, self._generator.clear_cache())
        return CacheAnswer(status="cleared", freed_bytes=freed_bytes)


def native_routes(api: NativeApi) -> APIRouter:
    """The routes that are this dialect's alone."""
    router = APIRouter(tags=["native"])

    @router.post("/infer")
    async def infer(body: GenerateBody, request: Request) -> InferAnswer:
        """The same as /generate, with `latency_ms`."""
        answer = await api.generate(body, request)
        return InferAnswer(**answer.model_dump(), latency_ms=answer.timings.total_ms)

    @router.post("/stream", response_class=FrameStream)
    async def stream_text(body: GenerateBody, request: Request) -> FrameStream:
        """The answer as plain text, piece by piece as it is made; of several sequences, the first."""
        return await api.stream_text(body, request)

    @router.post("/clear_cache")
    async def clear_cache(request: Request) -> CacheAnswer:
        """Drop the prefix cache once running answers have ended, and give its memory back."""
        return await api.clear_cache(request)

    return router


async def _text(generator: Generator, wanted: GenerationRequest, record: RequestRecord) -> AsyncGenerator[bytes, None]:
    async with aclosing(generator.answer(wanted, record)) as pieces:
        async for piece in pieces:
            if piece.text and piece.sequence == 0:
                yield piece.text.encode()
