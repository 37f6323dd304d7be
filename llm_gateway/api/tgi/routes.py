"""TGI's routes; `POST /generate` and `POST /tokenize` are shared with other dialects, in `api/shared_routes.py`."""

from collections.abc import Mapping

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from llm_gateway.api.collect import collect
from llm_gateway.api.disconnect import unless_client_leaves
from llm_gateway.api.parts import ApiParts
from llm_gateway.api.streaming import FrameStream, stream
from llm_gateway.api.tgi.answers import GenerateAnswer
from llm_gateway.api.tgi.events import events
from llm_gateway.api.tgi.headers import answer_headers, stream_headers
from llm_gateway.api.tgi.info import server_info
from llm_gateway.api.tgi.limits import check, check_truncate
from llm_gateway.api.tgi.schema import ChatTokenizeBody, CompatBody, InputsBody
from llm_gateway.api.tgi.tokenize import chat_tokenize, tokenize
from llm_gateway.api.tgi.translate import likeliest, num_tokens, to_answer, to_generation
from llm_gateway.generation import GenerationRequest
from llm_gateway.stream.sse import HEADERS, MEDIA_TYPE
from llm_gateway.telemetry.request_record import RequestRecord, current_record


class TgiApi:
    """What the routes of this dialect do."""

    def __init__(self, parts: ApiParts) -> None:
        self._parts = parts

    async def generate(self, body: InputsBody, request: Request) -> Response:
        """Answer all at once."""
        answer, headers = await self._answer(body, request)
        return _json(answer, headers)

    async def generate_stream(self, body: InputsBody, request: Request) -> FrameStream:
        """Answer with one event for each token."""
        record = current_record.get()
        wanted = await unless_client_leaves(request, self._read(body, record, streams=True))
        frames = events(self._parts.generator, body, wanted, record)
        return await stream(
            request, frames, MEDIA_TYPE, {**HEADERS, **stream_headers(body.inputs, self._parts.lifecycle.device)}
        )

    async def compat_generate(self, body: CompatBody, request: Request) -> Response:
        """Answer in one of the two ways; all at once, in a list of one.

        TGI puts the prompt before the answer here if the Hub files the model under text generation. Without a network
        nobody knows, so `return_full_text` alone decides, as on the other routes.
        """
        if body.stream:
            return await self.generate_stream(body, request)
        answer, headers = await self._answer(body, request)
        return _json([answer], headers)

    async def tokenize(self, body: InputsBody, request: Request) -> Response:
        """Answer with the tokens of `inputs`."""
        return _json(await unless_client_leaves(request, tokenize(self._parts.tokenization, body)))

    async def chat_tokenize(self, body: ChatTokenizeBody, request: Request) -> Response:
        """Answer with a conversation as the model reads it."""
        answering = chat_tokenize(self._parts.tokenization, body, current_record.get().request_id)
        return _json(await unless_client_leaves(request, answering))

    async def info(self, request: Request) -> Response:
        """Answer with what is served."""
        return _json(await unless_client_leaves(request, server_info(self._parts)))

    async def _answer(self, body: InputsBody, request: Request) -> tuple[GenerateAnswer, Mapping[str, str]]:
        record = current_record.get()
        wanted = await unless_client_leaves(request, self._read(body, record, streams=False))
        answers = await unless_client_leaves(request, collect(self._parts.generator, wanted, record))
        generated_tokens = num_tokens(answers[likeliest(answers)], record.usage)
        return to_answer(answers, body, wanted), answer_headers(
            record, body.inputs, generated_tokens, self._parts.lifecycle.device
        )

    async def _read(self, body: InputsBody, record: RequestRecord, *, streams: bool) -> GenerationRequest:
        how = body.how
        check(body.inputs, how, max_best_of=self._parts.settings.max_num_sequences, streams=streams)
        if how.truncate is not None:
            check_truncate(how.truncate, await self._parts.tokenization.context_tokens())
        return to_generation(body, record.request_id, streams=streams)


def tgi_routes(api: TgiApi) -> APIRouter:
    """The routes that are this dialect's alone."""
    router = APIRouter(tags=["tgi"])

    @router.post("/generate_stream", response_class=FrameStream)
    async def generate_stream(body: InputsBody, request: Request) -> FrameStream:
        """Continue a text, with one event for each token."""
        return await api.generate_stream(body, request)

    @router.post("/", response_class=Response)
    async def compat_generate(body: CompatBody, request: Request) -> Response:
        """Continue a text, all at once or as a stream; where `InferenceClient.text_generation` goes."""
        return await api.compat_generate(body, request)

    @router.post("/chat_tokenize", response_class=Response)
    async def chat_tokenize(body: ChatTokenizeBody, request: Request) -> Response:
        """Put a conversation into the model's chat template, for `inputs`, and tokenize it."""
        return await api.chat_tokenize(body, request)

    @router.get("/info", response_class=Response)
    async def info(request: Request) -> Response:
        """Tell which model is served, and up to which limits."""
        return await api.info(request)

    return router


def _json(answer: object, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json", headers=headers)
