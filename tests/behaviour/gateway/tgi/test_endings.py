"""A client that leaves stops its generation, in TGI's dialect as in any other."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway_process import GatewayProcess, gateway


@pytest.fixture(scope="module")
def slow(demo_store: Path) -> Iterator[GatewayProcess]:
    """A gateway that takes its time."""
    with gateway(demo_store, ENGINE="fake", FAKE_ENGINE="tokens_per_s=50") as running:
        running.wait_until_ready()
        yield running


@pytest.mark.parametrize(
    ("path", "streams"), [("/generate", False), ("/generate_stream", True), ("/", False), ("/", True)]
)
def test_a_client_that_leaves_stops_its_generation(slow: GatewayProcess, path: str, streams: bool) -> None:
    request_id = f"leaver-{path}-{streams}"
    connection = http.client.HTTPConnection("127.0.0.1", slow.port)
    body = json.dumps({"inputs": "Go on.", "stream": streams})
    connection.request("POST", path, body, {"content-type": "application/json", "x-request-id": request_id})
    if streams:
        assert connection.getresponse().read(5) == b"data:"
    else:
        _until_one_is_running(slow)
    connection.close()
    line = slow.wait_for("request", id=request_id)
    assert (line["outcome"], line["dialect"]) == ("cancelled", "tgi")


def _until_one_is_running(running: GatewayProcess) -> None:
    while "preheat_requests_running 1" not in running.client.get("/metrics").text:
        pass
