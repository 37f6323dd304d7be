"""A client that asks and does not read is cut off, and everybody else is served as if it were not there."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.dialects import EVERY_WAY
from tests.support.gateway_process import GatewayProcess, gateway
from tests.support.metrics import accepted_and_ended, metrics, until_running

STREAMING = [way for way in EVERY_WAY if way.streams]
LONG = {"prompt": "On.", "max_tokens": 1900, "n": 8, "logprobs": 0, "stream": True, "ignore_eos": True}
"""A few megabytes: more than the kernel keeps for anybody."""


def _ask_and_read_nothing(running: GatewayProcess, request_id: str, receive_bytes: int | None = 4096) -> socket.socket:
    body = json.dumps(LONG).encode()
    head = (
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"X-Request-ID: {request_id}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection = socket.socket()
    if receive_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.connect(("127.0.0.1", running.port))
    connection.sendall(head.encode() + body)
    return connection


def test_a_client_that_does_not_read_is_cut_off_and_the_others_finish(demo_store: Path) -> None:
    settings = {"ENGINE": "fake", "FAKE_ENGINE": "tokens_per_s=2000", "SLOW_READER_TIMEOUT_S": "1"}
    with gateway(demo_store, **settings) as running, ThreadPoolExecutor(8) as pool:
        running.wait_until_ready()
        silent = _ask_and_read_nothing(running, "silent")
        until_running(running, 1)
        readers = [pool.submit(STREAMING[i % len(STREAMING)].ask, running, 500, f"reader-{i}") for i in range(8)]
        for reader in readers:
            ending = reader.result()
            assert (ending.status, ending.whole) == (200, True)
        line = next((line for line in running.log if line.get("id") == "silent"), None) or running.wait_for(
            "request", id="silent"
        )
        assert line["outcome"] == "cancelled"
        assert "SLOW_READER_TIMEOUT_S" in line["error"]
        numbers = metrics(running)
        assert (numbers["preheat_requests_running"], numbers["preheat_tokens_inside"]) == (0, 0)
        accepted, ended = accepted_and_ended(running)
        assert (accepted, ended["finished"], ended["cancelled"]) == (9, 8, 1)
        silent.close()


def test_the_kernel_closes_a_connection_whose_answer_is_never_read(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE="fake", SLOW_READER_TIMEOUT_S="0.5") as running:
        running.wait_until_ready()
        silent = _ask_and_read_nothing(running, "silent")
        running.wait_for("request", id="silent")
        while _server_holds(running.port, silent.getsockname()[1]):
            pass
        silent.close()


def _server_holds(server_port: int, client_port: int) -> bool:
    """Whether the server's side of a connection still exists, as the kernel lists it."""
    wanted = (f"{server_port:04X}", f"{client_port:04X}")
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any((row[1][-4:], row[2][-4:]) == wanted for row in rows)


def test_a_client_that_reads_slowly_and_goes_on_reading_gets_it_all(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE="fake", SLOW_READER_TIMEOUT_S="30") as running:
        running.wait_until_ready()
        connection = _ask_and_read_nothing(running, "patient", receive_bytes=None)
        with connection, connection.makefile("rb") as answer:
            assert b"200" in answer.readline()
            until_running(running, 1)  # it is inside and sends, as far as anybody lets it
            assert b"data: [DONE]" in answer.read()
