"""Streams byte for byte, and what ends one early.

The golden ones have one token: tokens that are ready together share a line, and how many are is a matter of time.
"""

import http.client
import json
import re
from pathlib import Path

import ollama
import pytest

from tests.support.gateway_process import GatewayProcess, gateway

QUESTION = "How do I change the port?"
TURN = {"role": "user", "content": QUESTION}
_TIME = '"created_at":"T"'
_END = (
    '"done_reason":"length","total_duration":0,"load_duration":0,"prompt_eval_count":19,'
    '"prompt_eval_duration":0,"eval_count":1,"eval_duration":0}\n'
)
_GENERATE = (
    f'{{"model":"demo",{_TIME},"response":"Set","done":false}}\n'
    f'{{"model":"demo",{_TIME},"response":"","done":true,{_END}'
)
_CHAT = (
    f'{{"model":"demo",{_TIME},"message":{{"role":"assistant","content":"Set"}},"done":false}}\n'
    f'{{"model":"demo",{_TIME},"message":{{"role":"assistant","content":""}},"done":true,{_END}'
)


def _normal(stream: str) -> str:
    """Put the golden ones' numbers in where a new training of the demo model, or the hour, changes them."""
    times = r'"created_at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z"'
    counted = re.sub(r'"prompt_eval_count":\d+', '"prompt_eval_count":19', stream)
    return re.sub(r'_duration":\d+', '_duration":0', re.sub(times, _TIME, counted))


@pytest.mark.parametrize(
    ("path", "asked", "golden"),
    [("/api/generate", {"prompt": QUESTION}, _GENERATE), ("/api/chat", {"messages": [TURN]}, _CHAT)],
)
def test_a_stream_is_the_golden_one(demo: GatewayProcess, path: str, asked: dict[str, object], golden: str) -> None:
    body = {"model": "demo", **asked, "options": {"temperature": 0, "num_predict": 1}}
    answer = demo.client.post(path, json=body)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert _normal(answer.text) == golden


def test_a_plain_answer_is_the_golden_one(demo: GatewayProcess) -> None:
    body = {"model": "demo", "prompt": QUESTION, "stream": False, "options": {"temperature": 0, "num_predict": 1}}
    answer = demo.client.post("/api/generate", json=body)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    golden = f'{{"model":"demo",{_TIME},"response":"Set","done":true,{_END}'
    assert _normal(answer.text) + "\n" == golden


def test_emoji_come_whole(demo: GatewayProcess) -> None:
    body = {"model": "demo", "prompt": "Say hello with emoji.", "options": {"temperature": 0}}
    lines = [json.loads(line) for line in demo.client.post("/api/generate", json=body).text.splitlines()]
    text = "".join(line["response"] for line in lines)
    assert any(ord(character) > 0xFFFF for character in text)
    assert "\N{REPLACEMENT CHARACTER}" not in text


def test_an_error_before_a_stream_has_a_status(demo: GatewayProcess) -> None:
    answer = demo.client.post("/api/generate", json={"model": "demo", "prompt": "warm " * 3000})
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}


def test_an_error_in_the_middle_of_a_stream_is_its_last_line(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE="fake", FAKE_ENGINE="die_after_steps=60,tokens_per_s=500") as running:
        running.wait_until_ready()
        with ollama.Client(running.url) as client:
            pieces = iter(client.chat("demo", [TURN], stream=True))
            assert next(pieces).message.content
            with pytest.raises(ollama.ResponseError) as failed:
                list(pieces)
        assert failed.value.status_code == -1, "the status was sent long ago"
        line = running.wait_for("request", path="/api/chat")
        assert (line["outcome"], line["dialect"], line["error"]) == ("failed", "ollama", failed.value.error)


@pytest.mark.parametrize(("path", "streams"), [("/api/generate", True), ("/api/generate", False), ("/api/chat", True)])
def test_a_client_that_leaves_stops_its_generation(slow: GatewayProcess, path: str, streams: bool) -> None:
    request_id = f"leaver-{path}-{streams}"
    connection = http.client.HTTPConnection("127.0.0.1", slow.port)
    body = json.dumps({"model": "demo", "prompt": "Go on.", "messages": [TURN], "stream": streams})
    connection.request("POST", path, body, {"x-request-id": request_id})
    if streams:
        assert connection.getresponse().read(1) == b"{"
    else:
        _until_one_is_running(slow)
    connection.close()
    line = slow.wait_for("request", id=request_id)
    assert (line["outcome"], line["dialect"]) == ("cancelled", "ollama")


def test_a_full_room_is_a_busy_server(slow: GatewayProcess) -> None:
    body = {"model": "demo", "prompt": "Go on."}
    with slow.client.stream("POST", "/api/generate", json=body) as first:
        lines = first.iter_lines()
        assert next(lines)
        refused = slow.client.post("/api/generate", json=body)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"].startswith(
        "server busy, please try again.  maximum pending requests exceeded: all 1 places are taken"
    )


def _until_one_is_running(running: GatewayProcess) -> None:
    while "preheat_requests_running 1" not in running.client.get("/metrics").text:
        pass
