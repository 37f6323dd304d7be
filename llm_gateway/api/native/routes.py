"""The native routes: /generate, /stream, /infer and /clear_cache."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import APIRouter, Request

from llm_gateway.api.disconnect import unless_client_leaves
from llm_gateway.api.native.schema import CacheAnswer, GenerateAnswer, GenerateBody, InferAnswer
from llm_gateway.api.native.translate import Answers, to_answer, to_generation
from llm_gateway.api.streaming import FrameStream, stream
from llm_gateway.generation import GenerationRequest
from llm_gateway.generator import Generator
from llm_gateway.telemetry.request_record import RequestRecord, current_record


def native_routes(generator: Generator, served_model: str) -> APIRouter:
    """The router of this dialect, around the one generator."""
    router = APIRouter(tags=["native"])

    @router.post("/generate")
    async def generate(body: GenerateBody, request: Request) -> GenerateAnswer:
        """Answer a prompt or a conversation, all at once."""
        record = current_record.get()
        wanted = to_generation(body, record.request_id, served_model)
        answers = await unless_client_leaves(request, _whole(generator, wanted, record))
        return to_answer(answers, record, served_model)

    @router.post("/infer")
    async def infer(body: GenerateBody, request: Request) -> InferAnswer:
        """The same as /generate, with `latency_ms`."""
        answer = await generate(body, request)
        return InferAnswer(**answer.model_dump(), latency_ms=answer.timings.total_ms)

    @router.post("/stream", response_class=FrameStream)
    async def stream_text(body: GenerateBody, request: Request) -> FrameStream:
        """The answer as plain text, piece by piece as it is made; of several sequences, the first."""
        record = current_record.get()
        wanted = to_generation(body, record.request_id, served_model)
        return await stream(request, _text(generator, wanted, record), "text/plain; charset=utf-8")

    @router.post("/clear_cache")
    async def clear_cache() -> CacheAnswer:
        """Drop the prefix cache once running answers have ended, and give its memory back."""
        return CacheAnswer(status="cleared", freed_bytes=await generator.clear_cache())

    return router


async def _whole(generator: Generator, wanted: GenerationRequest, record: RequestRecord) -> Answers:
    answers = Answers.empty(wanted.num_sequences)
    async with aclosing(generator.answer(wanted, record)) as pieces:
        async for piece in pieces:
            answers.texts[piece.sequence] += piece.text
            if piece.finish is not None:
                answers.finish[piece.sequence] = piece.finish
    return answers


async def _text(generator: Generator, wanted: GenerationRequest, record: RequestRecord) -> AsyncGenerator[bytes, None]:
    async with aclosing(generator.answer(wanted, record)) as pieces:
        async for piece in pieces:
            if piece.text and piece.sequence == 0:
                yield piece.text.encode()
