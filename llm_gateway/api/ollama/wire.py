"""How bodies go in and out here: JSON in whatever way it is announced, and out with the type that Ollama gives it."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

import msgspec
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute

from llm_gateway.errors import InvalidRequestError

JSON_TYPE: Final = "application/json; charset=utf-8"


class MissingBodyError(InvalidRequestError):
    """There is no body where one is needed."""

    status = 400
    kind = "missing_body"


class OllamaJson(Response):
    """One JSON object."""

    media_type = JSON_TYPE

    def render(self, content: object) -> bytes:
        return msgspec.json.encode(content)


class OllamaRoute(APIRoute):
    """A route whose body is JSON whatever the header says: `curl -d`, which Ollama documents, says a form."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answer_any(request: Request) -> Response:
            headers = [pair for pair in request.scope["headers"] if pair[0] != b"content-type"]
            request.scope["headers"] = [*headers, (b"content-type", b"application/json")]
            try:
                return await answer(Request(request.scope, request.receive))
            except RequestValidationError as error:
                if any(problem["type"] == "missing" and problem["loc"] == ("body",) for problem in error.errors()):
                    raise MissingBodyError("missing request body") from error
                raise

        return answer_any
