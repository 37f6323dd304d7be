"""Servers of the comparison are real processes: started, asked until they answer, and gone with their children."""

import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.servers.contender import PORT, Server, as_typed
from benchmarks.servers.process import ServerFailedError, started
from benchmarks.servers.records import Contender

ANSWERING = """
import http.server, json, subprocess, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({"usage": {"completion_tokens": TOKENS}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

subprocess.Popen([sys.executable, "-c", "import signal; signal.signal(15, signal.SIG_IGN); signal.pause()"])
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def server(program: str) -> Server:
    described = Contender(
        key="naive",
        name="a server",
        precision="bf16",
        precision_class="16 bits",
        version="1",
        command="",
        notes="",
        weight_bytes=1,
    )
    return Server(described, (sys.executable, "-c", program, PORT))


def test_a_server_that_answers_is_measured_and_ends_with_its_children() -> None:
    with started(server(ANSWERING.replace("TOKENS", "1"))) as (running, seconds):
        own = psutil.Process(running.pid)
        family = [own, *own.children()]
        assert seconds > 0
        assert running.peak_memory_bytes() > 1_000_000
        assert len(family) == 2
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive


def test_a_server_that_ends_is_quoted() -> None:
    with (
        pytest.raises(ServerFailedError, match="ended with 3; its log ends: no such model"),
        started(server("import sys; print('no such model'); sys.exit(3)")),
    ):
        pass


def test_a_first_answer_of_another_length_is_no_start() -> None:
    with (
        pytest.raises(ServerFailedError, match="has 2 tokens, 1 was asked for"),
        started(server(ANSWERING.replace("TOKENS", "2"))),
    ):
        pass


def test_a_command_is_shown_as_it_is_typed_in_the_repository() -> None:
    here = Path(__file__).parents[3]
    assert as_typed((str(here / ".peers/server"), "--port", PORT), {"A": "1"}) == "A=1 .peers/server --port {port}"
