"""Routes on which dialects meet: the body says which one is spoken, or there is an answer that suits all."""

from typing import Annotated

from fastapi import APIRouter, Body, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from pydantic import Discriminator, Tag

from llm_gateway.api.dialects import tgi_or
from llm_gateway.api.native.routes import NativeApi
from llm_gateway.api.native.schema import GenerateAnswer, GenerateBody
from llm_gateway.api.openai.routes import OpenAiApi
from llm_gateway.api.openai.schema import TokenizeBody
from llm_gateway.api.tgi.routes import TgiApi
from llm_gateway.api.tgi.schema import InputsBody
from llm_gateway.lifecycle import Lifecycle

_Inputs = Annotated[InputsBody, Tag("tgi")]
_GENERATE_EXAMPLES = {
    "native": {"value": {"prompt": "How do I change the port?", "config": {"max_tokens": 64}}},
    "TGI": {"value": {"inputs": "Count from 1 to 10.", "parameters": {"max_new_tokens": 64}}},
}
_TOKENIZE_EXAMPLES = {
    "vLLM": {"value": {"prompt": "How do I change the port?", "return_token_strs": True}},
    "TGI": {"value": {"inputs": "How do I change the port?"}},
}


def _generates(body: object) -> str:
    return tgi_or("native", body)


def _tokenizes(body: object) -> str:
    return tgi_or("openai", body)


def shared_routes(lifecycle: Lifecycle, native: NativeApi, openai: OpenAiApi, tgi: TgiApi) -> APIRouter:
    """`POST /generate`, `POST /tokenize` and what is at `/`."""
    router = APIRouter()

    @router.post("/generate", tags=["native", "tgi"], response_model=GenerateAnswer)
    async def generate(
        body: Annotated[
            Annotated[GenerateBody, Tag("native")] | _Inputs,
            Discriminator(_generates),
            Body(openapi_examples=_GENERATE_EXAMPLES),
        ],
        request: Request,
    ) -> GenerateAnswer | Response:
        """Answer a prompt or a conversation, all at once; a body with `inputs` is TGI's, and so is its answer."""
        if isinstance(body, InputsBody):
            return await tgi.generate(body, request)
        return await native.generate(body, request)

    @router.post("/tokenize", tags=["openai", "tgi"], response_class=Response)
    async def tokenize(
        body: Annotated[
            Annotated[TokenizeBody, Tag("openai")] | _Inputs,
            Discriminator(_tokenizes),
            Body(openapi_examples=_TOKENIZE_EXAMPLES),
        ],
        request: Request,
    ) -> Response:
        """Turn a text or a conversation into token ids; a body with `inputs` is TGI's, and so is its answer."""
        if isinstance(body, InputsBody):
            return await tgi.tokenize(body, request)
        return await openai.tokenize(body, request)

    @router.get("/", tags=["operations"], response_class=PlainTextResponse)
    async def root(request: Request) -> Response:
        """What clients look for first: Ollama's words with 200 once requests are answered, and /docs for browsers."""
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("/docs")
        if lifecycle.accepts_requests:
            return PlainTextResponse("Ollama is running")
        raise lifecycle.not_ready()

    @router.head("/", tags=["operations"], response_class=PlainTextResponse)
    async def root_head(request: Request) -> Response:
        """The same without the words."""
        return await root(request)

    return router
