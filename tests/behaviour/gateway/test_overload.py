"""More than there is room or time for: refused at once with when to come back, or ended when its time has passed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.dialects import ALONE, EVERY_WAY, Way
from tests.support.gateway_process import GatewayProcess, gateway
from tests.support.metrics import accepted_and_ended, metrics, until_running

SLOW = {"ENGINE": "fake", "FAKE_ENGINE": "tokens_per_s=50"}


@pytest.fixture(scope="module")
def narrow(demo_store: Path) -> Iterator[GatewayProcess]:
    """A gateway with room for 700 tokens."""
    with gateway(demo_store, **SLOW, MAX_CONCURRENT_TOKENS="700") as running:
        running.wait_until_ready()
        yield running


@pytest.mark.parametrize("way", ALONE, ids=lambda way: way.name)
def test_more_tokens_than_there_is_room_for_are_refused_at_once_in_every_dialect(
    narrow: GatewayProcess, way: Way
) -> None:
    with narrow.client.stream("POST", "/stream", json={"prompt": "Go on.", "max_tokens": 600}) as held:
        texts = held.iter_text()  # the response is closed with its iterator
        assert next(texts)
        refused = narrow.client.post(way.path, json=way.body(200))
        assert refused.status_code == way.busy
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert "MAX_CONCURRENT_TOKENS" in refused.text
        assert narrow.client.post(way.path, json=way.body(2)).status_code == 200, "what is small fits beside it"
    until_running(narrow, 0)
    assert metrics(narrow)["preheat_tokens_inside"] == 0


def test_what_is_refused_for_want_of_room_is_charged_to_nobody(demo_store: Path) -> None:
    with gateway(demo_store, **SLOW, MAX_CONCURRENT_TOKENS="700", RATE_LIMIT_TOKENS="1000") as running:
        running.wait_until_ready()
        with running.client.stream("POST", "/stream", json={"prompt": "Go on.", "max_tokens": 600}) as held:
            texts = held.iter_text()  # the response is closed with its iterator
            assert next(texts)
            for _ in range(6):
                refused = running.generate("warm " * 250, max_tokens=2)
                assert refused.status_code == 429
                assert "MAX_CONCURRENT_TOKENS" in refused.text
            assert metrics(running)["preheat_prompt_tokens_total"] == 0
        assert running.generate("Is there anything left?", max_tokens=2).status_code == 200


def test_a_request_that_is_larger_than_the_room_is_answered_when_it_is_alone(narrow: GatewayProcess) -> None:
    answer = narrow.generate("Go on.", max_tokens=90, num_sequences=8)
    assert answer.json()["usage"]["completion_tokens"] == 720


def test_an_answer_that_nobody_bounded_counts_for_the_usual_length(demo_store: Path) -> None:
    with gateway(demo_store, **SLOW, MAX_CONCURRENT_TOKENS="700", DEFAULT_MAX_TOKENS="100") as running:
        running.wait_until_ready()
        chat = {"messages": [{"role": "user", "content": "Go on."}], "stream": True}
        with running.client.stream("POST", "/v1/chat/completions", json=chat) as held:
            texts = held.iter_text()
            assert next(texts)
            assert 100 < metrics(running)["preheat_tokens_inside"] < 300
            assert running.generate("Is there room?", max_tokens=2).status_code == 200


def test_a_request_of_many_parts_is_not_in_its_own_way(demo_store: Path) -> None:
    settings = {"ENGINE": "fake", "FAKE_ENGINE": "tokens_per_s=500", "MAX_CONCURRENT_TOKENS": "700"}
    with gateway(demo_store, **settings) as running:
        running.wait_until_ready()
        body = {"prompt": ["One,", "Two,", "Three,", "Four,", "Five,"], "max_tokens": 300}
        completion = running.client.post("/v1/completions", json=body).json()
        assert [choice["finish_reason"] for choice in completion["choices"]] == ["length"] * 5
        assert completion["usage"]["completion_tokens"] == 1500
        items = [{"prompt": "One,", "max_tokens": 300}] * 5
        answers = running.client.post("/v1/completions/batch", json=items).json()
        assert [answer.get("error") for answer in answers] == [None] * 5
        accepted, ended = accepted_and_ended(running)
        assert (sum(ended.values()), ended["finished"]) == (accepted, 10)
        assert "request ended twice" not in running.log_text()


def test_health_is_truthful_and_nobody_is_dropped_while_every_place_is_taken(demo_store: Path) -> None:
    settings = {"ENGINE": "fake", "FAKE_ENGINE": "tokens_per_s=100", "MAX_CONCURRENT_REQUESTS": "30"}
    with gateway(demo_store, **settings) as running, ThreadPoolExecutor(60) as pool:
        running.wait_until_ready()
        asked = [pool.submit(ALONE[i % len(ALONE)].ask, running, 300, f"load-{i}") for i in range(60)]
        until_running(running, 30)
        for _ in range(50):
            health = running.client.get("/health")
            assert (health.status_code, health.json()["status"]) == (200, "healthy")
            assert running.client.get("/livez").status_code == 200
            assert running.client.get("/readyz").status_code == 200
        endings = [asking.result() for asking in asked]
        assert {ending.status for ending in endings} <= {200, 429, 503}
        answered = sum(ending.status == 200 for ending in endings)
        assert answered >= 30
        assert accepted_and_ended(running)[0] == answered


def test_what_takes_too_long_ends_with_a_sentence_in_every_dialect(demo_store: Path) -> None:
    with gateway(demo_store, **SLOW, REQUEST_TIMEOUT_S="1") as running, ThreadPoolExecutor(len(EVERY_WAY)) as pool:
        running.wait_until_ready()
        asked = [pool.submit(way.ask, running, 900, f"late-{way.name}") for way in EVERY_WAY]
        for way, asking in zip(EVERY_WAY, asked, strict=True):
            ending = asking.result()
            assert way.failed(ending, 504, "REQUEST_TIMEOUT_S"), (way.name, ending)
        accepted, ended = accepted_and_ended(running)
        assert ended == {"finished": 0, "cancelled": 0, "failed": accepted, "refused": 0}
        assert accepted == len(ALONE) + 2
        numbers = metrics(running)
        assert (numbers["preheat_requests_running"], numbers["preheat_tokens_inside"]) == (0, 0)
        assert running.generate("In time.", max_tokens=2).status_code == 200
        assert "Traceback" not in running.log_text()


def test_the_time_in_the_queue_counts_even_where_the_model_is_waited_for(demo_store: Path) -> None:
    settings = {"ENGINE": "fake", "FAKE_ENGINE": "load_s=60", "MODEL_PRELOAD": "false", "REQUEST_TIMEOUT_S": "1"}
    with gateway(demo_store, **settings) as running, ThreadPoolExecutor(len(ALONE)) as pool:
        running.wait_for("phase", phase="on_demand")
        asked = [pool.submit(way.ask, running, 2, f"early-{way.name}") for way in ALONE]
        for way, asking in zip(ALONE, asked, strict=True):
            assert asking.result().status == 504, way.name
        assert running.client.get("/health").json()["phase"] == "loading"
        assert metrics(running)["preheat_requests_running"] == 0


def test_a_model_that_is_loaded_on_demand_warms_up_however_full_the_room_is(demo_store: Path) -> None:
    settings = {
        "ENGINE": "fake",
        "MODEL_PRELOAD": "false",
        "MAX_CONCURRENT_REQUESTS": "1",
        "MAX_CONCURRENT_TOKENS": "1",
    }
    with gateway(demo_store, **settings) as running:
        running.wait_for("phase", phase="on_demand")
        assert running.generate("The only place is mine.", max_tokens=2).status_code == 200
