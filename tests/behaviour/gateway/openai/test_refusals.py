"""What cannot be used is told in OpenAI's shape, with a sentence that names the field; nothing else ever leaks."""

import json
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.support.gateway_process import GatewayProcess

ASKED: Any = [{"role": "user", "content": "How do I change the port?"}]
CHAT = "/v1/chat/completions"


def _error(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "\n" not in error["message"]
    return error


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"content": "no role"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": {"a": 1}}]}, "messages.0.content"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[1]"}}]}]},
            "messages.0.tool_calls.0.function.arguments",
        ),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": "many"}, "max_completion_tokens"),
        ({"min_tokens": 9, "max_tokens": 3}, "min_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": -2}, "top_k"),
        ({"min_p": 2}, "min_p"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"frequency_penalty": -3}, "frequency_penalty"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"n": 0}, "n"),
        ({"n": 9}, "n"),
        ({"n": 1, "best_of": 3}, "best_of"),
        ({"seed": "now"}, "seed"),
        ({"stop": ["a"] * 17}, "stop"),
        ({"stop": {"a": 1}}, "stop"),
        ({"stop_token_ids": [2**70]}, "stop_token_ids.0"),
        ({"stream": "perhaps"}, "stream"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"prompt_logprobs": 0}, "prompt_logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "ash"}}, "audio"),
        ({"web_search_options": {"search_context_size": "low"}}, "web_search_options"),
        ({"use_beam_search": True}, "use_beam_search"),
        ({"chat_template": "{{ messages }}"}, "chat_template"),
        ({"chat_template_kwargs": {"messages": []}}, "chat_template_kwargs"),
        ({"chat_template_kwargs": {"self": 1}}, "chat_template_kwargs"),
        ({"continue_final_message": True}, "continue_final_message"),
        ({"skip_special_tokens": False}, "skip_special_tokens"),
        ({"add_special_tokens": True}, "add_special_tokens"),
        ({"echo": True}, "echo"),
    ],
)
def test_a_bad_field_is_named(demo: GatewayProcess, fields: dict[str, Any], param: str) -> None:
    error = _error(demo.client.post(CHAT, json={"messages": ASKED, "max_tokens": 2, **fields}), 400)
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert param.split(".")[-1] in error["message"]


def test_text_that_is_no_text_is_refused_wherever_it_stands(demo: GatewayProcess) -> None:
    half = "\ud800"
    bodies = [
        {"messages": [{"role": "user", "content": half}]},
        {"messages": [{"role": half, "content": "a"}]},
        {"messages": ASKED, "model": half},
        {"messages": ASKED, "response_format": {"type": half}},
        {"messages": ASKED, "tools": [{"function": {"name": half}}], "tool_choice": "required"},
        {"messages": ASKED, "chat_template_kwargs": {"messages": half, half: half}},
        {"messages": ASKED, "stop": {half: half}},
        {"messages": ASKED, "documents": [{half: {}}], "n": {half: 1}},
    ]
    for body in bodies:
        content = json.dumps(body).encode("ascii")
        answer = demo.client.post(CHAT, content=content, headers={"content-type": "application/json"})
        assert answer.status_code in {400, 404}, (body, answer.text)
        assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("body", [b'{"messages": ', b"", b'{"messages": "\xff"}', b"[" * 100_000, b"[]", b"7"])
@pytest.mark.parametrize("path", [CHAT, "/v1/completions", "/v1/embeddings", "/detokenize"])
def test_a_body_that_cannot_be_read_is_a_400(demo: GatewayProcess, path: str, body: bytes) -> None:
    _error(demo.client.post(path, content=body, headers={"content-type": "application/json"}), 400)


def test_another_models_name_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=ASKED)
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="gpt-4o", prompt="a")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("somebody/else")


def test_a_prompt_that_is_too_long_is_told_in_the_words_that_frameworks_look_for(
    demo: GatewayProcess, client: OpenAI
) -> None:
    context_tokens = next(line for line in demo.log if line["event"] == "ready")["context_tokens"]
    messages: Any = [{"role": "user", "content": "warm " * 5000}]
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model="demo", messages=messages, stream=stream)
        assert caught.value.code == "context_length_exceeded"
        assert caught.value.param == "messages"
        assert f"maximum context length is {context_tokens} tokens" in caught.value.message


def test_a_body_beyond_the_limit_is_a_413(demo: GatewayProcess) -> None:
    error = _error(demo.client.post(CHAT, json={"messages": [{"role": "user", "content": "x" * (1 << 21)}]}), 413)
    assert error["code"] == "body_too_large"


def test_unknown_paths_and_wrong_methods_have_the_same_shape(demo: GatewayProcess) -> None:
    _error(demo.client.get("/v1/nothing"), 404)
    _error(demo.client.get(CHAT), 405)


def test_embeddings_are_refused_and_not_tried_again(demo: GatewayProcess) -> None:
    with (
        OpenAI(base_url=f"{demo.url}/v1", api_key="not needed") as client,
        pytest.raises(openai.BadRequestError, match="does not support embeddings"),
    ):
        client.embeddings.create(model="demo", input="a")


def test_nothing_of_all_this_left_a_traceback_in_the_log(demo: GatewayProcess) -> None:
    assert "Traceback" not in demo.log_text()
