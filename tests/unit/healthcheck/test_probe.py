"""The probe against real sockets, run as the program that the container runs."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from healthcheck.probe import authorization
from llm_gateway.access.keys import load_keys
from llm_gateway.settings import Settings

KEYS = ("alices-key-0123456789", "bobs+key/0123456789==")
PROBE = Path(__file__).parents[3] / "healthcheck/probe.py"


@contextmanager
def a_gateway_that_answers(
    status: int, health: Mapping[str, object] | bytes, asked: list[str | None] | None = None
) -> Iterator[str]:
    """Serve /readyz and /health on a free port; yields the port. What came as Authorization is added to `asked`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if asked is not None:
                asked.append(self.headers["Authorization"])
            body = health if isinstance(health, bytes) else json.dumps(health).encode()
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body if self.path == "/health" else b"")

        def log_message(self, *args: object) -> None:
            """Keep the test's output clean."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield str(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run_probe(port: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(PROBE)],
        env={**os.environ, "GATEWAY_PORT": port, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_ready_gateway_is_exit_0_and_its_model() -> None:
    with a_gateway_that_answers(200, {"phase": "ready", "model": "demo", "uptime_s": 12.3}) as port:
        assert run_probe(port) == (0, "ready: demo, up 12 s\n")


def test_a_loading_gateway_is_exit_1_and_how_far_it_is() -> None:
    health = {"phase": "loading", "model": "demo", "progress": 0.4, "estimated_seconds_left": 11.8, "uptime_s": 3}
    with a_gateway_that_answers(503, health) as port:
        assert run_probe(port) == (1, "not ready: loading, 40 %, about 12 s left\n")


def test_what_is_not_known_is_left_out_of_the_line() -> None:
    health = {"phase": "waiting_for_weights", "progress": None, "estimated_seconds_left": None}
    with a_gateway_that_answers(503, health) as port:
        assert run_probe(port) == (1, "not ready: waiting_for_weights\n")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\xff"])
def test_another_program_on_the_port_is_not_taken_for_a_loading_model(body: bytes) -> None:
    with a_gateway_that_answers(404, body) as port:
        assert run_probe(port) == (1, "not ready: /readyz answers 404\n")


def test_a_closed_port_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    assert run_probe(str(port)) == (1, f"not ready: nothing listens on 127.0.0.1:{port}\n")


def test_a_server_that_speaks_something_else_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer_once, args=(server, b"SSH-2.0-OpenSSH\r\n"))
        thread.start()
        code, line = run_probe(str(server.getsockname()[1]))
        thread.join()

    assert code == 1
    assert "does not answer as a gateway does" in line


def answer_once(server: socket.socket, answer: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(answer)


def test_a_port_that_is_no_number_is_named() -> None:
    assert run_probe("http") == (1, "not ready: GATEWAY_PORT is 'http', expected a number from 1 to 65535\n")


def test_a_proxy_in_the_environment_is_not_asked() -> None:
    with a_gateway_that_answers(200, {"phase": "ready", "model": "demo", "uptime_s": 1}) as port:
        assert run_probe(port, http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9")[0] == 0


def test_the_first_key_goes_with_every_question_and_into_no_line() -> None:
    asked: list[str | None] = []
    with a_gateway_that_answers(401, b"{}", asked) as port:
        told = run_probe(port, API_KEY=f"alice={KEYS[0]},bob={KEYS[1]}")
    assert asked == [f"Bearer {KEYS[0]}"] * 2
    assert told == (1, "not ready: /readyz answers 401\n")


def test_without_a_key_none_is_sent() -> None:
    asked: list[str | None] = []
    with a_gateway_that_answers(200, {"phase": "ready", "model": "demo", "uptime_s": 1}, asked) as port:
        run_probe(port, API_KEY="", API_KEY_FILE="")
    assert asked == [None, None]


@pytest.mark.parametrize(
    "text", [KEYS[0], KEYS[1], f"alice={KEYS[0]}", f"bob={KEYS[1]}", f"# who may\n\n bob={KEYS[1]} \nalice={KEYS[0]}\n"]
)
def test_the_probe_reads_keys_as_the_gateway_does(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text, encoding="utf-8")
    given = [({"API_KEY_FILE": str(path)}, Settings(api_key_file=path))]
    if "#" not in text:
        given.append(({"API_KEY": text}, Settings(api_key=SecretStr(text))))
    for environment, settings in given:
        sent = authorization(environment)["Authorization"].removeprefix("Bearer ")
        ring = load_keys(settings)
        assert ring.name_of(sent) == ring.names[0]


def test_a_file_of_keys_that_cannot_be_read_is_the_gateways_to_tell(tmp_path: Path) -> None:
    assert authorization({"API_KEY_FILE": str(tmp_path / "absent")}) == {}


@pytest.mark.parametrize(
    "key", ["p@ssw0rd-for=the-gateway", "abcdefgh+ijkl=mnopqrstuv", "#abcdefghijklmnopqrstuv", "k" * 70 + "=x"]
)
def test_a_key_is_sent_as_the_gateway_reads_it(key: str) -> None:
    settings = Settings(api_key=SecretStr(key))
    sent = authorization({"API_KEY": key})["Authorization"].removeprefix("Bearer ")
    assert load_keys(settings).name_of(sent) is not None
