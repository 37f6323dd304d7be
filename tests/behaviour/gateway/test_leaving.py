"""A client that leaves frees its place, its room and its compute, whatever it asked for and whenever it leaves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dialects import ALONE, EVERY_WAY, Way
from tests.support.gateway_process import GatewayProcess, gateway
from tests.support.metrics import accepted_and_ended, metrics, until_metric, until_running

NEXT_ANSWER = 30


@pytest.fixture(scope="module")
def slow(demo_store: Path) -> Iterator[GatewayProcess]:
    """A gateway in which an answer of 900 tokens takes nine seconds."""
    with gateway(demo_store, ENGINE="fake", FAKE_ENGINE="tokens_per_s=100") as running:
        running.wait_until_ready()
        yield running


@pytest.mark.parametrize("way", EVERY_WAY, ids=lambda way: way.name)
def test_after_a_client_has_left_nothing_more_is_computed_for_it(slow: GatewayProcess, way: Way) -> None:
    request_id = f"leaver-{way.name}"
    connection = way.begin(slow, 900, request_id)
    if way.streams:
        assert connection.getresponse().read(1)
    else:
        until_metric(slow, "preheat_tokens_inside", lambda tokens: tokens > 0)
    connection.close()
    assert slow.wait_for("request", id=request_id)["outcome"] == "cancelled"
    left = metrics(slow)
    assert (left["preheat_requests_running"], left["preheat_tokens_inside"]) == (0, 0)
    assert slow.generate("Now I have it all.", max_tokens=NEXT_ANSWER).status_code == 200
    made = metrics(slow)["preheat_engine_tokens_total"] - left["preheat_engine_tokens_total"]
    # The steps in which it left are counted after that: a token of each of its sequences, of which a batch has two.
    assert NEXT_ANSWER <= made <= NEXT_ANSWER + 4


@pytest.fixture(scope="module")
def loading(demo_store: Path) -> Iterator[GatewayProcess]:
    """A gateway whose model is loaded on demand, and never is."""
    settings = {"ENGINE": "fake", "FAKE_ENGINE": "load_s=600", "MODEL_PRELOAD": "false"}
    with gateway(demo_store, **settings) as running:
        running.wait_for("phase", phase="on_demand")
        yield running


@pytest.mark.parametrize("way", ALONE, ids=lambda way: way.name)
def test_a_client_that_leaves_while_the_model_loads_frees_its_place(loading: GatewayProcess, way: Way) -> None:
    connection = way.begin(loading, 900, f"early-{way.name}")
    until_running(loading, 1)
    connection.close()
    assert loading.wait_for("request", id=f"early-{way.name}")["outcome"] == "cancelled"
    assert metrics(loading)["preheat_requests_running"] == 0
    assert loading.client.get("/health").json()["phase"] == "loading"


def test_a_client_that_leaves_while_the_cache_waits_to_be_cleared_frees_its_place(slow: GatewayProcess) -> None:
    with slow.client.stream("POST", "/stream", json={"prompt": "Go on.", "max_tokens": 900}) as held:
        texts = held.iter_text()  # the response is closed with its iterator
        next(texts)
        clearing = Way("clear", "/clear_cache", False, lambda _: {}).begin(slow, 0, "clearer")
        until_running(slow, 2)
        clearing.close()
        assert slow.wait_for("request", id="clearer")["outcome"] == "cancelled"
        assert metrics(slow)["preheat_requests_running"] == 1
        assert next(texts)
    until_running(slow, 0)


def test_with_the_real_engine_a_client_that_leaves_stops_its_generation(demo: GatewayProcess) -> None:
    before = accepted_and_ended(demo)[1]["cancelled"]
    body = {"prompt": "Go on.", "stream": True, "max_tokens": 1900, "ignore_eos": True}
    way = Way("endless", "/v1/completions", True, lambda _: body)
    connections = [way.begin(demo, 0, f"real-{index}") for index in range(4)]
    for connection in connections:
        assert connection.getresponse().read(1)
        connection.close()
    until_running(demo, 0)
    assert accepted_and_ended(demo)[1]["cancelled"] == before + len(connections)
    left = metrics(demo)["preheat_engine_tokens_total"]
    assert demo.generate("How do I change the port?", max_tokens=4).json()["usage"]["completion_tokens"] == 4
    assert metrics(demo)["preheat_engine_tokens_total"] - left <= 4 + len(connections)
