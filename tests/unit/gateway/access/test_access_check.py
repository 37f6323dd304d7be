"""The door in front of an application that computes nothing: who comes in, in which order things are asked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI, Request

from llm_gateway.access.keys import KeyRing
from llm_gateway.api.access_check import access_check
from llm_gateway.api.request_middleware import RequestMiddleware
from llm_gateway.settings import Settings
from llm_gateway.telemetry.request_record import RequestRecord, current_record

ALICE, BOB = "alices-key-0123456789", "bobs-key-0123456789"
KEYS = {"alice": ALICE, "bob": BOB}
PAGE = "https://chat.example"


@asynccontextmanager
async def a_door(
    settings: Settings, keys: dict[str, str]
) -> AsyncIterator[tuple[httpx.AsyncClient, list[RequestRecord]]]:
    api = FastAPI()

    @api.api_route("/{path:path}", methods=["GET", "POST", "OPTIONS"])
    async def anything(request: Request) -> dict[str, int]:
        current_record.get().usage.completion_tokens = 10
        return {"bytes": len(await request.body())}

    ended: list[RequestRecord] = []
    access = access_check(settings, KeyRing(keys))
    asgi = RequestMiddleware(
        api, access=access, max_body_bytes=1024, body_timeout_s=60, slow_reader_timeout_s=30, ended=ended.append
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(asgi), base_url="http://localhost:8085") as client:
        yield client, ended


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"Authorization": f"Bearer {ALICE}"}, "alice"),
        ({"Authorization": f"bearer  {BOB} "}, "bob"),
        ({"X-API-Key": BOB}, "bob"),
        ({"api-key": ALICE}, "alice"),
        ({"Authorization": "Basic dXNlcjpwYXNz", "X-API-Key": BOB}, "bob"),
    ],
)
async def test_a_key_may_come_in_any_of_three_headers(headers: dict[str, str], name: str) -> None:
    async with a_door(Settings(), KEYS) as (client, ended):
        assert (await client.post("/generate", headers=headers)).status_code == 200
    assert [record.key for record in ended] == [name]


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, "has no API key"),
        ({"Authorization": f"Basic {ALICE}"}, "has no API key"),
        ({"Authorization": f"Bearer {ALICE}x"}, "none of this gateway's"),
        ({"X-API-Key": ""}, "none of this gateway's"),
    ],
)
@pytest.mark.parametrize(
    "path", ["/generate", "/v1/models", "/health", "/readyz", "/metrics", "/docs", "/nowhere", "/livez/"]
)
async def test_without_a_key_nothing_but_livez_answers(headers: dict[str, str], said: str, path: str) -> None:
    async with a_door(Settings(), KEYS) as (client, _):
        answer = await client.get(path, headers=headers)
        assert (await client.get("/livez", headers=headers)).status_code == 200
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert said in answer.text
    assert ALICE not in answer.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/generate", {"kind": "invalid_api_key"}),
        ("/v1/chat/completions", {"type": "invalid_request_error", "code": "invalid_api_key", "param": None}),
        ("/generate_stream", {"error_type": "invalid_api_key"}),
        ("/api/chat", {}),
    ],
)
async def test_the_refusal_has_the_shape_of_the_paths_dialect(path: str, body: dict[str, object]) -> None:
    async with a_door(Settings(), KEYS) as (client, _):
        answer = (await client.post(path)).json()
    inner = answer["error"] if isinstance(answer["error"], dict) else answer
    assert {key: inner[key] for key in body} == body


async def test_a_wrong_host_is_told_before_a_key_is_asked_for() -> None:
    async with a_door(Settings(), KEYS) as (client, _):
        answer = await client.post("/generate", headers={"Host": "evil.example:8085"})
    assert answer.status_code == 421
    assert "ALLOWED_HOSTS" in answer.text


async def test_a_key_is_asked_for_before_the_body_is_measured() -> None:
    async with a_door(Settings(), KEYS) as (client, _):
        assert (await client.post("/generate", content=bytes(2000))).status_code == 401
        allowed = await client.post("/generate", content=bytes(2000), headers={"X-API-Key": BOB})
    assert allowed.status_code == 413


async def test_each_key_has_an_allowance_of_its_own_and_only_what_computes_counts() -> None:
    async with a_door(Settings(rate_limit_requests=2), KEYS) as (client, _):
        statuses = [
            (await client.request(method, "/generate", headers={"X-API-Key": key})).status_code
            for method, key in [*[("GET", ALICE)] * 5, *[("POST", ALICE)] * 3, ("POST", BOB), ("GET", ALICE)]
        ]
        refused = await client.post("/v1/chat/completions", headers={"X-API-Key": ALICE})
    assert statuses == [200] * 7 + [429, 200, 200]
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert refused.json()["error"] | {"message": ""} == {
        "message": "",
        "type": "rate_limit_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }


async def test_tokens_count_against_the_key_that_used_them() -> None:
    async with a_door(Settings(rate_limit_tokens=15), KEYS) as (client, _):
        statuses = [
            (await client.post("/generate", headers={"X-API-Key": key})).status_code
            for key in (ALICE, ALICE, ALICE, BOB)
        ]
    assert statuses == [200, 200, 429, 200]


async def test_without_keys_everybody_shares_one_allowance() -> None:
    async with a_door(Settings(rate_limit_requests=1), {}) as (client, _):
        assert [(await client.post("/generate")).status_code for _ in range(2)] == [200, 429]


async def test_a_preflight_needs_no_key_and_is_answered_for_pages_that_are_named() -> None:
    asking = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    async with a_door(Settings(cors_origins=PAGE), KEYS) as (client, _):
        allowed = await client.options("/v1/chat/completions", headers=asking)
        refused = await client.options("/v1/chat/completions", headers={**asking, "Origin": "https://evil.example"})
    assert allowed.status_code == 204
    assert allowed.headers["access-control-allow-origin"] == PAGE
    assert allowed.headers["access-control-allow-headers"] == "authorization"
    assert "POST" in allowed.headers["access-control-allow-methods"]
    assert refused.status_code == 403
    assert "access-control-allow-origin" not in refused.headers


async def test_a_page_that_is_named_may_read_refusals_too() -> None:
    async with a_door(Settings(cors_origins=PAGE), KEYS) as (client, _):
        answer = await client.post("/v1/chat/completions", headers={"Origin": PAGE, "Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["vary"] == "Origin"


async def test_headers_of_a_preflight_are_not_repeated_unless_they_are_names() -> None:
    asking = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "<script>"}
    async with a_door(Settings(cors_origins="*"), {}) as (client, _):
        answer = await client.options("/generate", headers=asking)
    assert answer.headers["access-control-allow-headers"] == "Authorization, Content-Type"
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_another_sites_form_is_refused_though_its_type_is_one_that_ollamas_routes_take() -> None:
    form = {"Content-Type": "text/plain", "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    async with a_door(Settings(), {}) as (client, _):
        answer = await client.post("/api/generate", headers=form, content=b'{"model": "demo", "prompt": "hello"}')
    assert answer.status_code == 403
    assert set(answer.json()) == {"error"}
    assert "access-control-allow-origin" not in answer.headers


async def test_every_answer_tells_browsers_not_to_guess() -> None:
    async with a_door(Settings(), KEYS) as (client, _):
        for answer in (await client.get("/livez"), await client.get("/generate")):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
            assert answer.headers["x-request-id"]


async def test_the_path_without_a_key_is_for_reading_and_waits_for_no_body() -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"a"
        raise AssertionError("nobody who has no key is listened to")

    async with a_door(Settings(), KEYS) as (client, _):
        assert (await client.post("/livez", content=endless())).status_code == 401
        answer = await client.request("GET", "/livez", content=endless())
    assert (answer.status_code, answer.json()) == (200, {"bytes": 0})
