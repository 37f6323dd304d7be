"""What the middleware makes of a bug in a route, which no test can bring about from outside."""

import httpx
import structlog
from fastapi import FastAPI

from llm_gateway.access.keys import KeyRing
from llm_gateway.api.access_check import access_check
from llm_gateway.api.error_bodies import on_unexpected_error
from llm_gateway.api.request_middleware import RequestMiddleware
from llm_gateway.settings import Settings
from llm_gateway.telemetry.request_record import Outcome, RequestRecord


def _application_with_a_bug(ended: list[RequestRecord]) -> RequestMiddleware:
    api = FastAPI()
    api.add_exception_handler(Exception, on_unexpected_error)

    @api.post("/generate")
    async def generate() -> None:
        raise ZeroDivisionError("the bug")

    access = access_check(Settings(), KeyRing({}))
    return RequestMiddleware(
        api, access=access, max_body_bytes=1024, body_timeout_s=60, slow_reader_timeout_s=30, ended=ended.append
    )


async def test_a_bug_is_a_sentence_for_the_client_and_a_traceback_in_the_log() -> None:
    ended: list[RequestRecord] = []
    transport = httpx.ASGITransport(_application_with_a_bug(ended))
    with structlog.testing.capture_logs() as log:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.post("/generate", headers={"X-Request-ID": "unlucky"})
    assert answer.status_code == 500
    assert answer.json()["kind"] == "internal_error"
    assert "the bug" not in answer.text
    assert answer.headers["x-request-id"] == "unlucky"
    assert [line["event"] for line in log] == ["unexpected error", "request"]
    assert log[0]["exc_info"]
    assert [record.outcome for record in ended] == [Outcome.FAILED]
