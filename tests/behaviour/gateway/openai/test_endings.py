"""Answers that come late, not at all, or not to their end, as the official client meets them."""

import concurrent.futures
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.behaviour.gateway.openai.conftest import official_client
from tests.support.gateway_process import GatewayProcess, gateway

ASKED: Any = [{"role": "user", "content": "Go on."}]
CHAT = "/v1/chat/completions"
BATCH = "/v1/completions/batch"


def test_while_the_model_loads_models_are_listed_and_a_client_that_retries_gets_its_answer(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE="fake", FAKE_ENGINE="load_s=2") as running:
        running.wait_for("phase", phase="loading")
        with official_client(running) as impatient, official_client(running, max_retries=8) as patient:
            (model,) = impatient.models.list().data
            assert (model.id, model.to_dict()["max_model_len"]) == ("demo", None)
            with pytest.raises(openai.InternalServerError) as caught:
                impatient.chat.completions.create(model="demo", messages=ASKED, stream=True)
            assert caught.value.status_code == 503
            assert caught.value.code == "model_loading"
            assert 1 <= int(caught.value.response.headers["retry-after"]) <= 60
            batch = running.client.post("/v1/completions/batch", json=[{"prompt": "a"}])
            assert batch.status_code == 503
            assert batch.json()["error"]["code"] == "model_loading"
            answer = patient.chat.completions.create(model="demo", messages=ASKED, max_tokens=2)
            assert answer.choices[0].finish_reason == "length"
            assert impatient.models.retrieve("demo").to_dict()["max_model_len"]


@pytest.fixture(scope="module")
def slow(demo_store: Path) -> Iterator[GatewayProcess]:
    """A gateway with one place, in which an answer of 900 tokens takes nine seconds."""
    settings = {"ENGINE": "fake", "FAKE_ENGINE": "tokens_per_s=100", "MAX_CONCURRENT_REQUESTS": "1"}
    with gateway(demo_store, **settings) as running:
        running.wait_until_ready()
        yield running


def test_a_client_that_is_turned_away_comes_back_when_it_was_told_to(slow: GatewayProcess) -> None:
    with official_client(slow) as first, official_client(slow, max_retries=2) as second:
        held = first.chat.completions.create(model="demo", messages=ASKED, stream=True)
        next(held)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = pool.submit(second.chat.completions.create, model="demo", messages=ASKED, max_tokens=2)
            assert slow.wait_for("request", status=429)["outcome"] == "refused"
            held.close()
            assert waiting.result().choices[0].finish_reason == "length"


def test_a_full_house_has_a_code_and_a_time(slow: GatewayProcess) -> None:
    with official_client(slow) as client:
        held = client.chat.completions.create(
            model="demo", messages=ASKED, stream=True, extra_headers={"X-Request-ID": "holder"}
        )
        next(held)
        with pytest.raises(openai.RateLimitError) as caught:
            client.completions.create(model="demo", prompt="a")
        assert caught.value.code == "rate_limit_exceeded"
        assert caught.value.response.headers["retry-after"]
        (alone,) = slow.client.post("/v1/completions/batch", json=[{"prompt": "a"}]).json()
        assert alone["error"]["code"] == "rate_limit_exceeded"
        held.close()
        assert slow.wait_for("request", id="holder")["outcome"] == "cancelled"


@pytest.mark.parametrize(
    ("path", "stream"),
    [(CHAT, False), (CHAT, True), ("/v1/completions", False), ("/v1/completions", True), (BATCH, False)],
)
def test_a_client_that_leaves_stops_its_generation(slow: GatewayProcess, path: str, stream: bool) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", slow.port)
    prompt = {"messages": ASKED} if path == CHAT else {"prompt": ["Go on.", "And on."]}
    body: Any = {**prompt, "max_tokens": 900, "stream": stream}
    name = f"leaver-{path}-{stream}"
    headers = {"content-type": "application/json", "x-request-id": name}
    connection.request("POST", path, json.dumps([body] * 5 if path == BATCH else body), headers)
    if stream:
        assert connection.getresponse().read(1)
    else:
        _until_running(slow, 1)
    connection.close()
    line = slow.wait_for("request", id=name)
    assert line["outcome"] == "cancelled"
    assert line.get("completion_tokens", 0) < 900
    _until_running(slow, 0)


def test_a_batch_takes_half_of_the_places_at_most(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE="fake", FAKE_ENGINE="tokens_per_s=500", MAX_CONCURRENT_REQUESTS="6") as running:
        running.wait_until_ready()
        items = [{"prompt": ["One,", "Two,", "Three,"], "max_tokens": 20}] * 9
        with concurrent.futures.ThreadPoolExecutor() as pool:
            batches = [pool.submit(running.client.post, BATCH, json=items) for _ in range(2)]
            answers = [answer for batch in batches for answer in batch.result().json()]
    assert [answer.get("error") for answer in answers] == [None] * 18


def test_an_error_in_the_middle_of_a_stream_is_an_event_before_its_end(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE="fake", FAKE_ENGINE="die_after_steps=60,tokens_per_s=500") as running:
        running.wait_until_ready()
        with official_client(running) as client:
            chunks = client.chat.completions.create(model="demo", messages=ASKED, stream=True)
            assert next(chunks).choices[0].delta.role == "assistant"
            with pytest.raises(openai.APIError, match="try again"):
                list(chunks)
        running.wait_until_ready()
        body = {"prompt": ["a", "b"], "max_tokens": 900, "stream": True}
        with running.client.stream("POST", "/v1/completions", json=body) as answer:
            *_, error, done, rest = "".join(answer.iter_text()).split("\n\n")
        assert (done, rest) == ("data: [DONE]", "")
        told = json.loads(error.removeprefix("data: "))["error"]
        assert (told["type"], told["code"]) == ("server_error", "worker_died")
        assert running.wait_for("request", path="/v1/completions")["outcome"] == "failed"


def test_an_answer_that_failed_for_good_is_not_asked_for_again(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE="fake") as running:
        running.wait_until_ready()
        body = {"messages": ASKED, "response_format": {"type": "json_object"}}
        answer = running.client.post(CHAT, json=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "unsupported"


def _until_running(running: GatewayProcess, number: int) -> None:
    """Return when so many requests hold a place, as the metrics say."""
    while f"preheat_requests_running {number}.0\n" not in running.client.get("/metrics").text:
        pass
