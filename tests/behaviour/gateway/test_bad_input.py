"""Input that cannot be used: one sentence that names the field, the right status, and never a traceback."""

import pytest

from tests.support.gateway_process import GatewayProcess


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "prompt or messages"),
        ({"prompt": "a", "messages": [{"role": "user", "content": "b"}]}, "prompt or messages"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": "a", "max_tokens": 0}, "max_tokens"),
        ({"prompt": "a", "config": {"temperature": -1}}, "config.temperature"),
        ({"prompt": "a", "top_p": 0}, "top_p"),
        ({"prompt": "a", "top_k": "many"}, "top_k"),
        ({"prompt": "a", "top_k": 1 << 70}, "top_k"),
        ({"prompt": "a", "num_sequences": 99}, "num_sequences"),
        ({"prompt": "a", "num_sequences": 10**12}, "num_sequences"),
        ({"prompt": "a", "repetition_penalty": 0}, "repetition_penalty"),
        ({"prompt": "a", "seed": -1}, "seed"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"prompt": "", "raw": True}, "prompt"),
        ({"prompt": "a \ud800 b"}, "prompt"),
    ],
)
def test_a_bad_field_is_named_in_one_sentence(demo: GatewayProcess, body: dict[str, object], field: str) -> None:
    answer = demo.client.post("/generate", content=_json(body), headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert field in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert "detail" not in answer.json()


@pytest.mark.parametrize("body", [b'{"prompt": ', b"", b'{"prompt": "\xff"}', b"[" * 100_000])
def test_a_body_that_is_not_json_is_a_400(demo: GatewayProcess, body: bytes) -> None:
    answer = demo.client.post("/generate", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.json()["kind"] == ("malformed_body" if body else "invalid_request")
    assert "not JSON" in answer.json()["error"] or not body


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain"])
def test_a_body_that_is_sent_as_something_else_is_told_the_header(demo: GatewayProcess, kind: str) -> None:
    """It is not guessed at: a page in a browser may send these to localhost without asking, and JSON not."""
    answer = demo.client.post("/generate", content=b'{"prompt": "a"}', headers={"content-type": kind})
    assert answer.status_code == 422
    assert "Content-Type: application/json" in answer.json()["error"]


def test_a_prompt_that_fills_the_context_is_refused_with_both_numbers(demo: GatewayProcess) -> None:
    answer = demo.generate("warm " * 5000)
    context_tokens = next(line for line in demo.log if line["event"] == "ready")["context_tokens"]
    assert answer.status_code == 400
    assert answer.json()["kind"] == "prompt_too_long"
    assert str(context_tokens) in answer.json()["error"]


def test_an_answer_that_does_not_fit_is_cut_to_the_context(demo: GatewayProcess) -> None:
    context_tokens = next(line for line in demo.log if line["event"] == "ready")["context_tokens"]
    body = demo.generate("Count.", max_tokens=10**6, temperature=50.0, seed=1, top_k=0).json()
    assert body["usage"]["total_tokens"] <= context_tokens


def test_a_body_beyond_the_limit_is_a_413(demo: GatewayProcess) -> None:
    answer = demo.generate("x" * (1 << 21))
    assert answer.status_code == 413
    assert "MAX_REQUEST_BYTES" in answer.json()["error"]


def test_a_body_beyond_the_limit_is_a_413_when_its_length_is_not_announced(demo: GatewayProcess) -> None:
    chunks = (b"x" * (1 << 18) for _ in range(8))
    answer = demo.client.post("/generate", content=chunks, headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_another_models_name_is_a_404(demo: GatewayProcess) -> None:
    answer = demo.generate("a", model="somebody/else")
    assert answer.status_code == 404
    assert "somebody/else" in answer.json()["error"]
    assert "demo" in answer.json()["error"]


def test_an_unknown_path_and_a_wrong_method_are_json_too(demo: GatewayProcess) -> None:
    unknown, wrong = demo.client.get("/nothing"), demo.client.get("/generate")
    assert (unknown.status_code, wrong.status_code) == (404, 405)
    assert unknown.json()["kind"] == wrong.json()["kind"] == "no_such_route"


def test_unknown_keys_are_ignored(demo: GatewayProcess) -> None:
    assert demo.generate("a", max_tokens=1, watermark=True, config={"penalty_alpha": 0.6}).status_code == 200


def test_nothing_of_all_this_left_a_traceback_in_the_log(demo: GatewayProcess) -> None:
    assert "Traceback" not in demo.log_text()


def _json(body: dict[str, object]) -> bytes:
    """httpx refuses half surrogates; JSON can spell them."""
    import json

    return json.dumps(body).encode("ascii")
