"""TGI's streams, byte for byte and as the official client reads them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import GenerationError

from tests.support.gateway_process import GatewayProcess, gateway

QUESTION = "How do I change the port?"
_GOLDEN = (
    'data:{"index":1,"token":{"id":0,"text":"","logprob":0,"special":false},"generated_text":null,"details":null}\n\n'
    'data:{"index":2,"token":{"id":0,"text":"","logprob":0,"special":false},"generated_text":null,"details":null}\n\n'
    'data:{"index":3,"token":{"id":0,"text":"","logprob":0,"special":false},"generated_text":null,"details":null}\n\n'
    'data:{"index":4,"token":{"id":0,"text":"","logprob":0,"special":false},"generated_text":"",'
    '"details":{"finish_reason":"length","generated_tokens":4,"seed":null,"input_length":0}}\n\n'
)


def test_a_stream_is_the_golden_one(demo: GatewayProcess) -> None:
    text = _stream(demo, max_new_tokens=4, details=True)
    # What depends on how the demo model was trained last is not the wire format's.
    numbers = re.sub(r'"(logprob|id|input_length)":[-0-9.e]+', r'"\1":0', text)
    assert re.sub(r'"(text|generated_text)":"[^"]+"', r'"\1":""', numbers) == _GOLDEN


def test_events_are_the_tokens_of_the_plain_answer(demo: GatewayProcess) -> None:
    parameters: dict[str, Any] = {"details": True}
    plain = demo.client.post("/generate", json={"inputs": QUESTION, "parameters": parameters}).json()
    *before, last = events = _events(_stream(demo, **parameters))
    tokens = [{**event["token"], "logprob": 0} for event in events]
    assert tokens == [{**token, "logprob": 0} for token in plain["details"]["tokens"]]
    assert [event["index"] for event in events] == list(range(1, len(events) + 1))
    assert all(event["generated_text"] is None and event["details"] is None for event in before)
    assert last["generated_text"] == plain["generated_text"]
    assert last["details"]["finish_reason"] == "eos_token"
    assert last["details"]["generated_tokens"] == len(events)
    assert last["token"]["special"]


@pytest.mark.parametrize(
    ("inputs", "parameters"),
    [
        ("Say hello with emoji.", {}),
        ("Say hello with emoji.", {"max_new_tokens": 3}),
        (QUESTION, {"stop": ["PORT"]}),
        (QUESTION, {"stop": ["it.\nnever", "change it. And"]}),
        (QUESTION, {"temperature": 20.0, "seed": 3, "max_new_tokens": 40}),
    ],
)
def test_the_tokens_that_are_not_special_are_the_text(
    demo: GatewayProcess, inputs: str, parameters: dict[str, Any]
) -> None:
    events = _events(_stream(demo, inputs, **parameters))
    text = "".join(event["token"]["text"] for event in events if not event["token"]["special"])
    assert text == events[-1]["generated_text"] != ""
    assert all(event["details"] is None for event in events)


def test_the_base_url_streams_where_the_body_says_so(demo: GatewayProcess) -> None:
    body = {"inputs": QUESTION, "parameters": {"max_new_tokens": 4, "details": True}, "stream": True}
    streamed = demo.client.post("/", json=body)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert streamed.text == _stream(demo, max_new_tokens=4, details=True)


def test_no_proxy_is_to_hold_a_stream_back(demo: GatewayProcess) -> None:
    headers = demo.client.post("/generate_stream", json={"inputs": QUESTION}).headers
    assert headers["x-accel-buffering"] == "no"
    assert headers["cache-control"] == "no-cache"
    assert headers["x-compute-characters"] == str(len(QUESTION))


def test_an_error_before_a_stream_has_a_status(demo: GatewayProcess) -> None:
    answer = demo.client.post("/generate_stream", json={"inputs": "warm " * 5000})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("Input validation error: `inputs` must have less than ")


def test_an_error_in_the_middle_of_a_stream_is_its_last_event(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE="fake", FAKE_ENGINE="die_after_steps=60,tokens_per_s=500") as running:
        running.wait_until_ready()
        with InferenceClient(running.url, provider="hf-inference") as client:
            pieces = client.text_generation(QUESTION, stream=True)
            assert next(iter(pieces))
            with pytest.raises(GenerationError, match="Request failed during generation: "):
                "".join(pieces)
        running.wait_until_ready()
        *before, last = _events(_stream(running))
        assert before
        assert set(last) == {"error", "error_type"}
        assert last["error_type"] == "generation"
        assert running.wait_for("request", path="/generate_stream")["outcome"] == "failed"


def test_an_end_of_turn_that_comes_alone_is_the_last_event(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE="fake", FAKE_ENGINE="stop_at_eos=1") as running:
        running.wait_until_ready()
        *before, last = _events(_stream(running, "Hello there.<|im_end|>"))
        assert "".join(event["token"]["text"] for event in before) == last["generated_text"] == "Hello there."
        assert (last["token"]["text"], last["token"]["special"]) == ("", True)
        *_, held = _events(_stream(running, "Hello there.<|im_end|>", stop=["there.END"]))
        assert held["generated_text"] == "Hello there."
        assert not held["token"]["special"], "it has the text that was held back"


def _stream(running: GatewayProcess, inputs: str = QUESTION, **parameters: object) -> str:
    answer = running.client.post("/generate_stream", json={"inputs": inputs, "parameters": parameters})
    assert answer.status_code == 200, answer.text
    return answer.text


def _events(stream: str) -> list[dict[str, Any]]:
    assert stream.endswith("\n\n")
    frames = stream.removesuffix("\n\n").split("\n\n")
    assert all(frame.startswith("data:{") for frame in frames)
    return [json.loads(frame.removeprefix("data:")) for frame in frames]
