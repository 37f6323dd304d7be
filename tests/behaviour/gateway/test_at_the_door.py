"""Input that means harm: slow, endless, deep or broken requests, and thousands of connections that say nothing."""

import json
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.support.gateway_process import GatewayProcess, gateway

NUM_IDLE = 2000
HASTY = {"ENGINE": "fake", "REQUEST_READ_TIMEOUT_S": "0.5"}
MEGABYTE = bytes(1 << 20)
JSON = {"Content-Type": "application/json"}
TEXT, DEEP = '"TEXT"', '"DEEP"'
WITH_TEXT = {
    "/generate": {"prompt": "TEXT", "max_tokens": 1},
    "/stream": {"messages": [{"role": "user", "content": "TEXT"}], "max_tokens": 1},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "TEXT"}], "max_tokens": 1, "stop": ["TEXT"]},
    "/v1/completions": {"prompt": "TEXT", "max_tokens": 1},
    "/tokenize": {"prompt": "TEXT"},
    "/generate_stream": {"inputs": "TEXT", "parameters": {"max_new_tokens": 1}},
    "/chat_tokenize": {"messages": [{"role": "user", "content": "TEXT"}]},
    "/api/generate": {"model": "demo", "prompt": "TEXT", "options": {"num_predict": 1}},
    "/api/chat": {"model": "demo", "messages": [{"role": "user", "content": "TEXT"}], "options": {"num_predict": 1}},
    "/api/show": {"model": "TEXT"},
}
"""Where a text of the client's goes, in every dialect."""
MESSAGES = [{"role": "user", "content": "a"}]
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": "DEEP"}}
WITH_DEEP: list[tuple[str, dict[str, object]]] = [
    ("/generate", {"messages": [{"role": "user", "content": "a", "extra": "DEEP"}]}),
    ("/generate", {"prompt": "a", "unknown": "DEEP"}),
    ("/generate", {"inputs": "a", "parameters": {"grammar": {"type": "json", "value": "DEEP"}}}),
    ("/v1/chat/completions", {"messages": MESSAGES, "tools": [FUNCTION], "tool_choice": "required"}),
    ("/v1/chat/completions", {"messages": MESSAGES, "tools": [FUNCTION]}),
    ("/v1/chat/completions", {"messages": MESSAGES, "chat_template_kwargs": "DEEP"}),
    ("/v1/chat/completions", {"messages": MESSAGES, "chat_template_kwargs": {"a": "DEEP"}}),
    ("/v1/chat/completions", {"messages": MESSAGES, "metadata": {"a": "DEEP"}}),
    ("/v1/chat/completions", {"messages": MESSAGES, "logit_bias": "DEEP"}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "DEEP"}]}),
    (
        "/v1/chat/completions",
        {
            "messages": MESSAGES,
            "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": "DEEP"}},
        },
    ),
    ("/v1/completions", {"prompt": "DEEP"}),
    ("/v1/completions/batch", {"a": "DEEP"}),
    ("/tokenize", {"messages": MESSAGES, "tools": [FUNCTION]}),
    ("/chat_tokenize", {"messages": MESSAGES, "tools": [FUNCTION]}),
    ("/api/chat", {"model": "demo", "messages": MESSAGES, "format": "DEEP"}),
    ("/api/chat", {"model": "demo", "messages": MESSAGES, "tools": [FUNCTION]}),
    ("/api/chat", {"model": "demo", "messages": [{"role": "user", "content": "a", "tool_calls": "DEEP"}]}),
    ("/api/generate", {"model": "demo", "prompt": "a", "options": {"a": "DEEP"}}),
    ("/api/show", {"model": "demo", "options": "DEEP"}),
]


@pytest.fixture(scope="module")
def hasty(demo_store: Path) -> Iterator[GatewayProcess]:
    with gateway(demo_store, **HASTY) as running:
        running.wait_until_ready()
        yield running
        assert running.client.get("/livez").status_code == 200
        assert "Traceback" not in running.log_text()


def sent_to(running: GatewayProcess, *pieces: bytes) -> bytes:
    """What comes back until the gateway closes the connection."""
    with socket.create_connection(("127.0.0.1", running.port), timeout=60) as connection:
        for piece in pieces:
            connection.sendall(piece)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def test_a_client_that_offers_http_2_is_answered_and_keeps_its_connection(hasty: GatewayProcess) -> None:
    """Java's client offers it with each first request, over plain HTTP."""
    body = json.dumps({"prompt": "a", "max_tokens": 1}).encode()
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    head = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + offer
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    answers = sent_to(
        hasty, head + length, body, b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    assert answers.count(b"HTTP/1.1 200 ") == 2, answers
    assert b'"completion_tokens":1' in answers


def memory_of(running: GatewayProcess) -> int:
    return int(psutil.Process(running.process.pid).memory_info().rss)


def test_two_thousand_connections_that_say_nothing_leave_health_as_it_was(demo_store: Path) -> None:
    needed = NUM_IDLE + 500
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"this test opens {needed} sockets, and the system allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    with gateway(demo_store, ENGINE="fake", MAX_CONNECTIONS=str(NUM_IDLE // 2)) as running, ExitStack() as opened:
        running.wait_until_ready()
        for number in range(NUM_IDLE):
            idle = opened.enter_context(socket.create_connection(("127.0.0.1", running.port), timeout=60))
            if number % 2:
                idle.sendall(b"GET /health HTTP/1.1\r\nHost: local")
            if number % 100 == 0:
                assert running.client.get("/health").status_code == 200
        running.client.close()
        fresh = sent_to(running, b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert fresh.startswith(b"HTTP/1.1 200 ")
        assert psutil.Process(running.process.pid).num_fds() < NUM_IDLE // 2 + 300


def test_headers_that_drip_are_a_408(hasty: GatewayProcess) -> None:
    answer = sent_to(hasty, b"POST /generate HTTP/1.1\r\nHost: localhost\r\nX-Drip: ")
    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("path", WITH_TEXT)
def test_a_body_that_does_not_come_is_a_408_in_the_paths_dialect(hasty: GatewayProcess, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    answer = sent_to(hasty, head.encode(), b'{"prompt": ')
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer.lower()
    assert b"REQUEST_READ_TIMEOUT_S" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("path", ["/generate", "/v1/chat/completions", "/generate_stream", "/api/generate"])
def test_a_hundred_megabytes_are_a_413_and_take_no_memory(hasty: GatewayProcess, path: str, announced: bool) -> None:
    before = memory_of(hasty)
    headers = {**JSON, "Content-Length": str(100 << 20)} if announced else JSON
    answer = hasty.client.post(path, content=(MEGABYTE for _ in range(100)), headers=headers)
    assert answer.status_code == 413
    assert "MAX_REQUEST_BYTES" in answer.text
    assert memory_of(hasty) - before < 32 << 20


@pytest.mark.parametrize("depth", [100, 400, 700, 900, 980, 5_000, 100_000])
@pytest.mark.parametrize(("opening", "inner", "closing"), [("[", "", "]"), ('{"a":', "1", "}")])
def test_a_body_nested_too_deeply_is_the_clients_fault(
    hasty: GatewayProcess, depth: int, opening: str, inner: str, closing: str
) -> None:
    deep = opening * depth + inner + closing * depth
    for path, body in WITH_DEEP:
        answer = hasty.client.post(path, content=json.dumps(body).replace(DEEP, deep), headers=JSON)
        assert answer.status_code < 500, (path, body, answer.text)
        if depth >= 5_000:
            assert answer.status_code == 400, (path, body, answer.text)
    assert hasty.client.get("/readyz").status_code == 200


@pytest.mark.parametrize("path", WITH_TEXT)
def test_bytes_that_are_no_text_are_the_clients_fault(hasty: GatewayProcess, path: str) -> None:
    body = json.dumps(WITH_TEXT[path]).encode()
    for broken in (b'"\xff\xfe"', b'"\xc3\x28"', b'"\xed\xa0\x80"', b'"\xf5\x80\x80\x80"', b'"caf\xe9"'):
        answer = hasty.client.post(path, content=body.replace(TEXT.encode(), broken), headers=JSON)
        # What UTF-8 forbids and JSON's readers let pass, halves of a pair, is refused by whoever needs a text.
        assert answer.status_code in {400, 404, 422}, (broken, answer.text)
        assert answer.json()["error"]


@pytest.mark.parametrize("path", [path for path in WITH_TEXT if path != "/api/show"])
def test_half_a_character_is_refused_by_the_fields_name(hasty: GatewayProcess, path: str) -> None:
    body = json.dumps(WITH_TEXT[path])
    for half in (r'"\ud800"', r'"a \udfff b"', r'"\udc00\ud800"'):
        answer = hasty.client.post(path, content=body.replace(TEXT, half), headers=JSON)
        assert 400 <= answer.status_code < 500, (half, answer.text)


@pytest.mark.parametrize("path", WITH_TEXT)
def test_a_nul_is_a_character_like_others(hasty: GatewayProcess, path: str) -> None:
    body = json.dumps(WITH_TEXT[path])
    for text in (r'"\u0000"', r'"a\u0000b"', r'"\u0000\u0001\u007f\u0080\ufffe\uffff"'):
        answer = hasty.client.post(path, content=body.replace(TEXT, text), headers=JSON)
        assert answer.status_code < 500, (text, answer.text)


@pytest.mark.parametrize(
    "name", ["../../../../etc/passwd", "/etc/passwd", "..", "demo/../../x", "a\x00b", "x" * 10_000, "demo\n", "%2e%2e"]
)
def test_a_models_name_leads_to_no_file(hasty: GatewayProcess, name: str) -> None:
    for path in ("/v1/chat/completions", "/api/chat", "/api/show", "/generate"):
        body = {"model": name, "messages": MESSAGES, "max_tokens": 1}
        answer = hasty.client.post(path, json=body)
        assert answer.status_code in {400, 404}, answer.text
        assert "root:" not in answer.text
    for path in ("/v1/models/../../etc/passwd", "/v1/models/%2e%2e%2fetc%2fpasswd", "/docs-assets/%2e%2e/core.py"):
        assert hasty.client.get(path).status_code == 404


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /\x00 HTTP/1.1",
        b"GET /%00%ff%c3%28 HTTP/1.1",
        b"GET http://[ HTTP/1.1",
        b"GET * HTTP/1.1",
        b"NONSENSE / HTTP/1.1",
        b"GET / HTTP/9.9",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\xff" * 100,
    ],
)
def test_what_is_hardly_http_is_refused_or_answered_and_ends(hasty: GatewayProcess, request_line: bytes) -> None:
    answer = sent_to(hasty, request_line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 ")
    assert int(answer.split()[1]) < 500


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: -1",
        b"Content-Length: 99999999999999999999999",
        b"Transfer-Encoding: chunked, identity",
        b"X Y: z",
        b" X: folded",
    ],
)
def test_headers_that_two_servers_could_read_differently_are_refused(hasty: GatewayProcess, headers: bytes) -> None:
    head = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    answer = sent_to(hasty, head + headers + b"\r\n\r\n")
    assert 400 <= int(answer.split()[1]) < 500, answer
