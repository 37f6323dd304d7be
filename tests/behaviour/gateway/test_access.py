"""Who may use the gateway: with keys nobody without one, else nobody from elsewhere, and never another site's page."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import ollama
import openai
import psutil
import pytest

from tests.support.gateway_process import REPOSITORY, GatewayProcess, free_port, gateway

ALICE, BOB = "alices-key-0123456789", "bobs-key-0123456789"
KEYS = f"alice={ALICE},bob={BOB}"
FAKE = {"ENGINE": "fake"}
CHAT = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
WRONG_SETTING = 2


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture(scope="module")
def keyed(demo_store: Path) -> Iterator[GatewayProcess]:
    with gateway(demo_store, API_KEY=KEYS, **FAKE) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="module")
def open_to_this_machine(demo_store: Path) -> Iterator[GatewayProcess]:
    with gateway(demo_store, **FAKE) as running:
        running.wait_until_ready()
        yield running


def test_no_route_but_livez_answers_without_a_key(keyed: GatewayProcess) -> None:
    described = keyed.client.get("/openapi.json", headers=bearer(ALICE)).json()["paths"]
    answered = {
        (method, path)
        for path, operations in described.items()
        for method in operations
        if keyed.client.request(method, path.replace("{model}", "demo"), json={}).status_code != 401
    }
    assert answered == {("get", "/livez")}
    assert keyed.client.get("/docs").status_code == keyed.client.get("/openapi.json").status_code == 401
    assert keyed.client.get("/docs-assets/swagger-ui.css").status_code == 401


def test_the_official_clients_send_their_key_and_get_their_answer(keyed: GatewayProcess) -> None:
    with openai.OpenAI(base_url=f"{keyed.url}/v1", api_key=ALICE) as client:
        assert client.chat.completions.create(model="demo", messages=[{"role": "user", "content": "hello"}]).choices
    with ollama.Client(keyed.url, headers=bearer(BOB)) as official:
        assert official.chat("demo", [{"role": "user", "content": "hello"}]).done


def test_the_official_clients_know_the_refusal_for_what_it_is(keyed: GatewayProcess) -> None:
    with openai.OpenAI(base_url=f"{keyed.url}/v1", api_key="any", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            client.models.list()
        assert refused.value.code == "invalid_api_key"
    with ollama.Client(keyed.url) as official, pytest.raises(ollama.ResponseError) as told:
        official.list()
    assert told.value.status_code == 401


def test_the_line_of_a_request_has_the_keys_name_and_nothing_ever_has_the_key(keyed: GatewayProcess) -> None:
    said = [
        keyed.client.post("/generate", json={"prompt": "hello"}, headers={**bearer(BOB), "X-Request-ID": "of-bob"}),
        keyed.client.post("/generate", json={"prompt": 7}, headers=bearer(ALICE)),
        keyed.client.get("/health", headers=bearer(ALICE)),
        keyed.client.get("/metrics", headers=bearer(ALICE)),
        keyed.client.get("/v1/models", headers=bearer(ALICE + "x")),
    ]
    assert keyed.wait_for("request", id="of-bob")["key"] == "bob"
    told = keyed.log_text() + "".join(f"{answer.text} {answer.headers}" for answer in said)
    assert ALICE not in told
    assert BOB not in told


def test_the_process_that_computes_is_given_no_key(keyed: GatewayProcess) -> None:
    workers = psutil.Process(keyed.process.pid).children(recursive=True)
    assert workers
    for worker in workers:
        assert ALICE not in str(worker.environ()) + str(worker.cmdline())


def test_the_health_check_has_a_key_like_everybody_else(keyed: GatewayProcess) -> None:
    def probe(**environment: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "healthcheck.probe"],
            cwd=REPOSITORY,
            env={"PATH": os.environ["PATH"], "GATEWAY_PORT": str(keyed.port), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    assert probe(API_KEY=KEYS)[0] == 0
    assert probe() == (1, "not ready: /readyz answers 401\n")


def test_keys_may_come_from_a_file(demo_store: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"# ours\nalice={ALICE}\n{BOB}\n", encoding="utf-8")
    with gateway(demo_store, API_KEY_FILE=str(tmp_path / "keys"), **FAKE) as running:
        assert running.wait_for("listening")["keys"] == ["alice", "key-2"]
        running.wait_until_ready()
        statuses = [running.client.get("/health", headers=bearer(key)).status_code for key in (ALICE, BOB, "any")]
    assert statuses == [200, 200, 401]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"BIND_ADDRESS": "0.0.0.0"}, "there is no API_KEY"),
        ({"PUBLISHED_ADDRESS": "0.0.0.0"}, "there is no API_KEY"),
        ({"API_KEY": "short"}, "API_KEY, entry 1 has 5 characters"),
        ({"API_KEY_FILE": "/nowhere/keys"}, "cannot be read"),
        ({"CORS_ORIGINS": "chat.example"}, "CORS_ORIGINS has 'chat.example'"),
    ],
)
def test_a_door_that_cannot_be_meant_ends_the_gateway_with_a_sentence(
    demo_store: Path, settings: dict[str, str], said: str
) -> None:
    with gateway(demo_store, **FAKE, **settings) as running:
        assert running.exit_code() == WRONG_SETTING
        told = running.log_text()
    assert said in told
    assert "Traceback" not in told


def test_the_port_opens_to_a_network_where_someone_says_so_and_is_told_what_that_means(demo_store: Path) -> None:
    with gateway(demo_store, PUBLISHED_ADDRESS="0.0.0.0", ALLOW_UNAUTHENTICATED="true", **FAKE) as running:
        running.wait_for("everybody who reaches the port may use it")
        running.wait_until_ready()
        assert running.generate("hello").status_code == 200


def test_each_keys_tokens_are_its_own(demo_store: Path) -> None:
    with gateway(demo_store, API_KEY=KEYS, RATE_LIMIT_TOKENS="5", **FAKE) as running:
        running.wait_until_ready()
        answers = [
            running.client.post("/v1/chat/completions", json=CHAT, headers=bearer(key)) for key in (ALICE, ALICE, BOB)
        ]
    assert [answer.status_code for answer in answers] == [200, 429, 200]
    assert answers[1].json()["error"]["code"] == "rate_limit_exceeded"
    assert int(answers[1].headers["retry-after"]) > 1


@pytest.mark.parametrize("path", ["/", "/health", "/livez", "/v1/models", "/api/tags", "/docs"])
def test_a_name_that_was_made_to_resolve_to_this_machine_is_refused(
    open_to_this_machine: GatewayProcess, path: str
) -> None:
    answer = open_to_this_machine.client.get(path, headers={"Host": f"evil.example:{open_to_this_machine.port}"})
    assert answer.status_code == 421
    assert "ALLOWED_HOSTS" in answer.text


@pytest.mark.parametrize("host", ["localhost", "llm_gateway", "front_door", "[::1]", "127.0.0.1", "10.1.2.3"])
def test_the_gateways_own_names_are_right(open_to_this_machine: GatewayProcess, host: str) -> None:
    answer = open_to_this_machine.client.get("/health", headers={"Host": f"{host}:{open_to_this_machine.port}"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path", ["/generate", "/v1/chat/completions", "/api/generate", "/api/chat", "/generate_stream"]
)
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_another_sites_page_makes_nothing_compute(open_to_this_machine: GatewayProcess, path: str, kind: str) -> None:
    body = b'{"model": "demo", "prompt": "hello", "inputs": "hello", "messages": [{"role": "user", "content": "a"}]}'
    sent = {"Content-Type": kind, "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    answer = open_to_this_machine.client.post(path, content=body, headers=sent)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_curl_with_ollamas_own_words_still_gets_an_answer(open_to_this_machine: GatewayProcess) -> None:
    sent = {"Content-Type": "application/x-www-form-urlencoded"}
    body = b'{"model": "demo", "prompt": "hello", "stream": false}'
    answer = open_to_this_machine.client.post("/api/generate", content=body, headers=sent)
    assert answer.status_code == 200


def test_the_page_of_all_routes_runs_its_own_scripts_alone_and_in_no_frame(
    open_to_this_machine: GatewayProcess,
) -> None:
    page = open_to_this_machine.client.get("/docs")
    assert "script-src 'self' 'sha256-" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"/docs-assets/{asset}" in page.text
        answer = open_to_this_machine.client.get(f"/docs-assets/{asset}")
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_page_that_is_named_may_ask_and_read(demo_store: Path) -> None:
    page = "http://localhost:3000"
    with gateway(demo_store, API_KEY=KEYS, CORS_ORIGINS=page, **FAKE) as running:
        running.wait_until_ready()
        asking = {"Origin": page, "Access-Control-Request-Method": "POST"}
        assert running.client.options("/v1/chat/completions", headers=asking).status_code == 204
        sent = {**bearer(ALICE), "Origin": page, "Sec-Fetch-Site": "same-site"}
        with running.client.stream(
            "POST", "/v1/chat/completions", json={**CHAT, "stream": True}, headers=sent
        ) as answer:
            assert answer.headers["access-control-allow-origin"] == page
            assert b"[DONE]" in answer.read()
        refused = running.client.post(
            "/v1/chat/completions", json=CHAT, headers={**sent, "Origin": "http://localhost:1"}
        )
    assert refused.status_code == 403


def test_a_free_port_of_another_address_family_is_asked_by_its_address(demo_store: Path) -> None:
    port = free_port()
    with gateway(demo_store, BIND_ADDRESS="::1", GATEWAY_PORT=str(port), **FAKE) as running:
        running.wait_until_ready()
        assert httpx.get(f"http://[::1]:{port}/health").status_code == 200
