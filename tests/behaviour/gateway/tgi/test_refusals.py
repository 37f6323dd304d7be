"""What TGI refuses, in the sentences and statuses that its clients match."""

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import OverloadedError, UnknownError, ValidationError

from tests.support.gateway_process import GatewayProcess, gateway

_CASES = [
    ({"temperature": 0}, "`temperature` must be strictly positive"),
    ({"top_p": 1.0}, "`top_p` must be > 0.0 and < 1.0"),
    ({"top_k": 0}, "`top_k` must be strictly positive"),
    ({"typical_p": 2}, "`typical_p` must be > 0.0 and < 1.0"),
    ({"typical_p": 0.5}, "`typical_p` is not supported"),
    ({"repetition_penalty": 0}, "`repetition_penalty` must be strictly positive"),
    ({"frequency_penalty": -3}, "`frequency_penalty` must be >= -2.0 and <= 2.0"),
    ({"max_new_tokens": 0}, "`max_new_tokens` must be strictly positive"),
    ({"stop": ["a", "b", "c", "d", "e"]}, "`stop` supports up to 4 stop sequences. Given: 5"),
    ({"best_of": 0}, "`best_of` must be > 0 and <= 8. Given: 0"),
    ({"best_of": 9, "do_sample": True}, "`best_of` must be > 0 and <= 8. Given: 9"),
    ({"best_of": 2}, "you must use sampling when `best_of` is > 1"),
    ({"best_of": 2, "do_sample": True, "seed": 1}, "`seed` must not be set when `best_of` > 1"),
    ({"decoder_input_details": True}, "`decoder_input_details` is not supported"),
    ({"top_n_tokens": 5}, "`top_n_tokens` is not supported"),
    ({"watermark": True}, "`watermark` is not supported"),
    ({"adapter_id": "mine"}, "`adapter_id` is not supported: there is no adapter 'mine'"),
    ({"grammar": {"type": "json", "value": "{"}}, "grammar is not valid: value is no JSON"),
    ({"grammar": {"type": "regex", "value": 5}}, "grammar is not valid: value must be a regular expression"),
    ({"grammar": {"type": "json_schema", "value": {}}}, "grammar is not valid: value must be an object"),
    ({"temperature": "hot"}, "parameters.temperature: "),
    ({"seed": -1}, "parameters.seed: "),
]


@pytest.mark.parametrize(("parameters", "sentence"), _CASES)
@pytest.mark.parametrize("path", ["/", "/generate"])
def test_a_bad_parameter_is_named_in_tgis_sentence(
    demo: GatewayProcess, path: str, parameters: dict[str, Any], sentence: str
) -> None:
    answer = demo.client.post(path, json={"inputs": "Hello", "parameters": parameters})
    assert answer.status_code == 422
    assert set(answer.json()) == {"error", "error_type"}
    assert answer.json()["error_type"] == "validation"
    assert answer.json()["error"].startswith(f"Input validation error: {sentence}")


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"best_of": 2, "do_sample": True}, "`best_of` != 1 is not supported when streaming tokens"),
        ({"decoder_input_details": True}, "`decoder_input_details` == true is not supported when streaming tokens"),
    ],
)
def test_a_stream_refuses_what_needs_the_whole_answer(
    demo: GatewayProcess, parameters: dict[str, Any], sentence: str
) -> None:
    answer = demo.client.post("/generate_stream", json={"inputs": "Hello", "parameters": parameters})
    assert (answer.status_code, answer.json()["error"]) == (422, f"Input validation error: {sentence}")


def test_lengths_are_compared_with_the_context_in_tgis_sentences(demo: GatewayProcess, client: InferenceClient) -> None:
    total = client.get_endpoint_info()["max_total_tokens"]
    asked = {"inputs": "Hello", "parameters": {"max_new_tokens": total}}
    tokens = len(demo.client.post("/tokenize", json=asked).json())
    for path in ("/generate", "/generate_stream"):
        answer = demo.client.post(path, json=asked)
        assert answer.status_code == 422
        assert answer.json()["error"] == (
            f"Input validation error: `inputs` tokens + `max_new_tokens` must be <= {total}. "
            f"Given: {tokens} `inputs` tokens and {total} `max_new_tokens`"
        )
    for truncate in (0, total):
        asked = {"inputs": "Hello", "parameters": {"truncate": truncate}}
        assert demo.client.post("/generate", json=asked).json()["error"] == (
            f"Input validation error: `truncate` must be strictly positive and less than {total - 1}. Given: {truncate}"
        )


def test_the_client_knows_the_error(client: InferenceClient) -> None:
    with pytest.raises(ValidationError, match="`inputs` cannot be empty"):
        client.text_generation("")
    with pytest.raises(ValidationError, match="`temperature` must be strictly positive"):
        list(client.text_generation("Hello", temperature=-1.0, stream=True))


@pytest.mark.parametrize("path", ["/", "/generate_stream", "/chat_tokenize"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"inputs": ', 400),
        (b'{"inputs": "\xff"}', 400),
        (b"", 422),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"inputs": 5, "messages": 5}', 422),
        (b'{"inputs": "\\ud800", "messages": [{"role": "user", "content": "\\ud800"}]}', 422),
        (b" " * ((1 << 20) + 1), 413),
    ],
)
def test_a_body_that_cannot_be_used_is_told_so_in_tgis_shape(
    demo: GatewayProcess, path: str, body: bytes, status: int
) -> None:
    answer = demo.client.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "error_type"}
    assert answer.json()["error_type"] == "validation"


def test_a_model_that_is_loading_is_a_503(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE="fake", FAKE_ENGINE="load_s=3") as running:
        running.wait_for("phase", phase="loading")
        for path in ("/generate", "/generate_stream", "/", "/tokenize"):
            answer = running.client.post(path, json={"inputs": "Hello"})
            assert (answer.status_code, answer.json()["error_type"]) == (503, "healthcheck")
            assert int(answer.headers["retry-after"]) >= 1
        assert running.client.get("/info").json()["error_type"] == "healthcheck"
        with (
            InferenceClient(running.url, provider="hf-inference") as client,
            pytest.raises(UnknownError, match="the model is not ready"),
        ):
            client.text_generation("Hello")


def test_a_full_room_is_an_overloaded_model(demo_store: Path) -> None:
    slow = {"ENGINE": "fake", "FAKE_ENGINE": "tokens_per_s=50", "MAX_CONCURRENT_REQUESTS": "1"}
    with gateway(demo_store, **slow) as running, InferenceClient(running.url, provider="hf-inference") as client:
        running.wait_until_ready()
        with running.client.stream("POST", "/generate_stream", json={"inputs": "Go on."}) as first:
            pieces = first.iter_text()
            assert next(pieces)
            with pytest.raises(OverloadedError, match="Model is overloaded"):
                client.text_generation("Is there room?")
