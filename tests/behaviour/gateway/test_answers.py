"""The native API: what goes in and what comes out, with the real engine and the demo model."""

import json
import shlex
import subprocess

import pytest

from tests.support.gateway_process import REPOSITORY, GatewayProcess

QUESTION = "How do I change the port?"


def test_an_answer_has_the_names_that_clients_read(demo: GatewayProcess) -> None:
    answer = demo.generate(QUESTION, max_tokens=64)
    assert answer.status_code == 200
    body = answer.json()
    assert body["output"] == body["text"] == body["all_outputs"][0] != ""
    assert body["model"] == "demo"
    assert body["finish_reason"] in {"stop", "length"}
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert 0 <= body["timings"]["queue_ms"] <= body["timings"]["first_token_ms"] <= body["timings"]["total_ms"]


def test_the_demo_model_answers_a_question_about_preheat(demo: GatewayProcess) -> None:
    assert "GATEWAY_PORT" in demo.generate(QUESTION).json()["output"]


def test_keys_in_config_and_beside_the_prompt_mean_the_same(demo: GatewayProcess) -> None:
    beside = demo.client.post("/generate", json={"prompt": QUESTION, "max_new_tokens": 5}).json()
    nested = demo.client.post("/generate", json={"prompt": QUESTION, "config": {"max_length": 5}}).json()
    assert beside["output"] == nested["output"]
    assert beside["usage"]["completion_tokens"] == nested["usage"]["completion_tokens"] == 5
    assert beside["finish_reason"] == "length"


def test_config_wins_over_keys_beside_the_prompt(demo: GatewayProcess) -> None:
    body = {"prompt": QUESTION, "max_tokens": 9, "config": {"max_tokens": 3}}
    assert demo.client.post("/generate", json=body).json()["usage"]["completion_tokens"] == 3


def test_a_prompt_is_one_turn_of_the_user(demo: GatewayProcess) -> None:
    messages = [{"role": "user", "content": QUESTION}]
    as_messages = demo.client.post("/generate", json={"messages": messages}).json()
    assert as_messages["output"] == demo.generate(QUESTION).json()["output"]


def test_a_raw_prompt_goes_without_the_chat_template(demo: GatewayProcess) -> None:
    templated, raw = demo.generate(QUESTION, max_tokens=1), demo.generate(QUESTION, max_tokens=1, raw=True)
    assert raw.json()["usage"]["prompt_tokens"] < templated.json()["usage"]["prompt_tokens"]


def test_infer_adds_the_latency(demo: GatewayProcess) -> None:
    body = demo.client.post("/infer", json={"prompt": QUESTION, "max_tokens": 4}).json()
    assert body["latency_ms"] == body["timings"]["total_ms"] > 0


def test_a_stream_is_the_same_text_in_pieces(demo: GatewayProcess) -> None:
    with demo.client.stream("POST", "/stream", json={"prompt": QUESTION}) as answer:
        pieces = list(answer.iter_text())
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "".join(pieces) == demo.generate(QUESTION).json()["output"]


def test_a_seed_makes_sampling_repeatable_and_another_one_changes_it(demo: GatewayProcess) -> None:
    def sample(seed: int) -> str:
        keys = {"temperature": 5.0, "max_tokens": 24, "seed": seed}
        text: str = demo.generate("Tell me anything.", **keys).json()["output"]
        return text

    assert sample(1) == sample(1)
    assert len({sample(seed) for seed in range(4)}) > 1


def test_several_sequences_differ_and_are_all_there(demo: GatewayProcess) -> None:
    body = demo.generate("Tell me anything.", num_sequences=3, temperature=5.0, max_tokens=16, seed=7).json()
    assert len(body["all_outputs"]) == 3
    assert len(set(body["all_outputs"])) > 1
    assert body["output"] == body["all_outputs"][0]
    alone = demo.generate("Tell me anything.", temperature=5.0, max_tokens=16, seed=8).json()
    assert alone["output"] == body["all_outputs"][1]


def test_without_sampling_keys_the_answer_is_greedy(demo: GatewayProcess) -> None:
    assert demo.generate(QUESTION).json()["output"] == demo.generate(QUESTION, temperature=0).json()["output"]


def test_a_stop_string_ends_the_answer_and_is_not_in_it(demo: GatewayProcess) -> None:
    whole = demo.generate("Count from 1 to 10.").json()["output"]
    assert "5" in whole
    body = demo.generate("Count from 1 to 10.", stop=["5"]).json()
    assert body["output"] == whole.split("5")[0]
    assert body["finish_reason"] == "stop"


def test_a_stop_string_across_token_borders_is_never_half_sent(demo: GatewayProcess) -> None:
    whole = demo.generate(QUESTION).json()["output"]
    stop = whole[len(whole) // 2 : len(whole) // 2 + 9]
    with demo.client.stream("POST", "/stream", json={"prompt": QUESTION, "stop": stop}) as answer:
        text = "".join(answer.iter_text())
    assert text == whole.split(stop)[0]


def test_emoji_come_whole_in_a_stream(demo: GatewayProcess) -> None:
    with demo.client.stream("POST", "/stream", json={"prompt": "Say hello with emoji."}) as answer:
        pieces = [chunk.decode() for chunk in answer.iter_raw()]
    text = "".join(pieces)
    assert any(ord(character) > 0xFFFF for character in text)
    assert "\N{REPLACEMENT CHARACTER}" not in text


def test_clearing_the_cache_changes_no_answer(demo: GatewayProcess) -> None:
    before = demo.generate(QUESTION).json()["output"]
    cleared = demo.client.post("/clear_cache")
    assert cleared.status_code == 200
    assert cleared.json()["freed_bytes"] >= 0
    assert demo.generate(QUESTION).json()["output"] == before


def test_a_request_id_is_taken_returned_and_logged(demo: GatewayProcess) -> None:
    answer = demo.client.post("/generate", json={"prompt": QUESTION}, headers={"X-Request-ID": "ticket-17"})
    assert answer.headers["x-request-id"] == "ticket-17"
    line = demo.wait_for("request", id="ticket-17")
    assert line["outcome"] == "finished"
    assert line["prompt_tokens"] == answer.json()["usage"]["prompt_tokens"]
    assert line["completion_tokens"] == answer.json()["usage"]["completion_tokens"]
    assert line["queue_ms"] <= line["first_token_ms"] <= line["total_ms"]


@pytest.mark.parametrize("given", ["", "with space", "x" * 200, "naïve"])
def test_a_request_id_that_no_log_should_hold_is_replaced(demo: GatewayProcess, given: str) -> None:
    answer = demo.client.get("/livez", headers={b"X-Request-ID": given.encode()})
    assert len(answer.headers["x-request-id"]) == 32


def test_the_description_of_the_api_shows_the_native_routes(demo: GatewayProcess) -> None:
    paths = demo.client.get("/openapi.json").json()["paths"]
    assert {"/generate", "/stream", "/infer", "/clear_cache", "/health", "/livez", "/readyz", "/version"} <= set(paths)
    assert demo.client.get("/docs").status_code == 200


def test_metrics_count_requests_and_tokens(demo: GatewayProcess) -> None:
    demo.generate(QUESTION, max_tokens=4)
    text = demo.client.get("/metrics").text
    assert 'preheat_requests_total{outcome="finished"}' in text
    assert "preheat_generation_tokens_total" in text
    assert "preheat_ready 1.0" in text


def test_the_version_is_told_with_its_libraries(demo: GatewayProcess) -> None:
    body = demo.client.get("/version").json()
    assert body["version"].count(".") == 2
    assert "openvino-genai" in body["libraries"]


def test_the_readmes_command_gets_the_readmes_answer(demo: GatewayProcess) -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (command,) = [line for line in readme.splitlines() if line.startswith("curl localhost:8085/generate")]
    shown = json.loads(readme.split("```json\n")[1].split("```")[0])
    words = shlex.split(command)
    words[1] = f"http://127.0.0.1:{demo.port}/generate"
    answer = json.loads(subprocess.run([*words, "--silent"], check=True, capture_output=True).stdout)
    assert {key: answer[key] for key in shown if key != "timings"} == {
        key: value for key, value in shown.items() if key != "timings"
    }
    assert set(answer["timings"]) == set(shown["timings"])
