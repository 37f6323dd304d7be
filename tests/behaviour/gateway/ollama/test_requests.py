"""What a body may say, with the real engine, and what is said where it cannot be done."""

import json
from typing import Any

import httpx
import pytest

from tests.support.gateway_process import GatewayProcess

QUESTION = "How do I change the port?"
TURN = {"role": "user", "content": QUESTION}


def _generate(running: GatewayProcess, prompt: str = QUESTION, **keys: Any) -> dict[str, Any]:  # noqa: ANN401 - a body
    options = {"temperature": 0, **keys.pop("options", {})}
    body = {"model": "demo", "prompt": prompt, "stream": False, "options": options, **keys}
    answer = running.client.post("/api/generate", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_stop_string_ends_the_answer(demo: GatewayProcess) -> None:
    for stop in (["5"], "5", ["never", "5"]):
        answer = _generate(demo, "Count from 1 to 10.", options={"stop": stop})
        assert (answer["response"], answer["done_reason"]) == ("1 2 3 4 ", "stop")


def test_num_predict_limits_the_answer_and_nothing_does_without_it(demo: GatewayProcess) -> None:
    cut = _generate(demo, options={"num_predict": 3})
    assert (cut["done_reason"], cut["eval_count"]) == ("length", 3)
    for unlimited in (-1, -2, 0):
        assert _generate(demo, options={"num_predict": unlimited})["done_reason"] == "stop"


def test_a_seed_makes_sampling_repeatable(demo: GatewayProcess) -> None:
    def sample(seed: int) -> str:
        options = {"temperature": 5.0, "top_k": 0, "top_p": 1, "num_predict": 16, "seed": seed}
        text: str = _generate(demo, "Tell me anything.", options=options)["response"]
        return text

    assert sample(1) == sample(1)
    assert sample(0) == sample(0), "0 is a seed like any other"
    assert len({sample(seed) for seed in (1, 2, 3)}) > 1
    assert len({sample(-1) for _ in range(4)}) > 1, "-1 is any"


@pytest.mark.parametrize("options", [{"top_k": 1}, {"top_p": 0}, {"min_p": 1}, {"temperature": -1}, {"top_k": 1.0}])
def test_options_at_the_end_of_their_range_are_greedy(demo: GatewayProcess, options: dict[str, float]) -> None:
    assert _generate(demo, options={"temperature": 1, **options})["response"] == _generate(demo)["response"]


def test_options_beyond_every_range_do_no_harm(demo: GatewayProcess) -> None:
    huge = dict.fromkeys(("top_k", "seed", "num_predict", "num_ctx", "repeat_last_n", "num_gpu", "unheard_of"), 10**40)
    assert _generate(demo, options={**huge, "temperature": 0, "top_p": 7, "min_p": -3})["done_reason"] == "stop"


def test_a_system_message_comes_before_the_prompt(demo: GatewayProcess) -> None:
    chat = {"model": "demo", "stream": False, "options": {"temperature": 0}}
    messages = [{"role": "system", "content": "Be short."}, TURN]
    same = demo.client.post("/api/chat", json={**chat, "messages": messages}).json()
    answer = _generate(demo, system="Be short.")
    assert answer["prompt_eval_count"] == same["prompt_eval_count"] > _generate(demo)["prompt_eval_count"]
    assert answer["response"] == same["message"]["content"]


def test_a_raw_prompt_goes_without_the_chat_template(demo: GatewayProcess) -> None:
    rendered = f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
    assert _generate(demo, rendered, raw=True)["response"] == _generate(demo)["response"]


def test_a_template_replaces_the_models_own(demo: GatewayProcess) -> None:
    template = (
        "{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}"
        "<|im_start|>user\n{{ .Prompt }}<|im_end|>\n<|im_start|>assistant\n{{ .Response }}<|im_end|>\n"
    )
    for keys in ({}, {"system": "Be short."}):
        own, given = _generate(demo, **keys), _generate(demo, template=template, **keys)
        assert (given["response"], given["prompt_eval_count"]) == (own["response"], own["prompt_eval_count"])


def test_json_is_json_whenever_the_answer_is_whole(demo: GatewayProcess) -> None:
    schema = {"type": "object", "properties": {"port": {"type": "integer"}}, "required": ["port"]}
    assert isinstance(json.loads(_generate(demo, format=schema)["response"])["port"], int)
    answer = _generate(demo, format="json")
    assert answer["response"].startswith("{")
    assert answer["done_reason"] == "length" or isinstance(json.loads(answer["response"]), dict)
    assert (
        _generate(demo, format="")["response"]
        == _generate(demo, format=None)["response"]
        == (_generate(demo)["response"])
    )


def test_an_answer_that_the_conversation_begins_is_continued(demo: GatewayProcess) -> None:
    begun = "Set GATEWAY"
    body = {
        "model": "demo",
        "messages": [TURN, {"role": "assistant", "content": begun}],
        "stream": False,
        "options": {"temperature": 0},
    }
    rest = demo.client.post("/api/chat", json=body).json()["message"]["content"]
    assert begun + rest == _generate(demo)["response"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"raw": True, "system": "x"}, "raw mode does not support template, system, or context"),
        ({"raw": True, "template": "x"}, "raw mode does not support template, system, or context"),
        ({"suffix": "x"}, '"demo" does not support insert'),
        ({"images": ["aGk="]}, '"demo" does not support vision'),
        ({"context": [1, 2]}, "context is not supported"),
        ({"template": "{{ range .Messages }}{{ end }}"}, "template has the action {{ range .Messages }}"),
        ({"template": "{{ \ud800 }}"}, "template has the action {{ \\ud800 }}"),
        ({"keep_alive": "soon"}, 'keep_alive: time: invalid duration "soon"'),
        ({"keep_alive": "5"}, 'keep_alive: time: missing unit in duration "5"'),
        ({"format": "xml"}, 'format: invalid format; expected "json" or a JSON schema object'),
        ({"format": {"type": "nonsense"}}, "the answer cannot be held to this format"),
        ({"think": "hard"}, "think: invalid think value"),
        ({"stream": "false"}, "stream: "),
        ({"prompt": ["x"]}, "prompt: "),
        ({"options": []}, "options: "),
        ({"options": {"temperature": "hot"}}, "options.temperature: "),
        ({"options": {"stop": [1]}}, "options.stop.0: "),
        ({"options": {"typical_p": 0.5}}, "options.typical_p is 0.5"),
        ({"logprobs": True, "top_logprobs": 2}, "top_logprobs is 2"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs must be between 0 and 20"),
        ({"model": ""}, "model is required"),
        ({"model": None}, "model is required"),
        ({"model": 7}, "model: "),
        ({"model": "demo\ud800"}, "model 'demo\\ud800' not found"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(demo: GatewayProcess, body: dict[str, Any], sentence: str) -> None:
    answer = demo.client.post("/api/generate", content=json.dumps({"model": "demo", "prompt": "x", **body}))
    assert answer.status_code in {400, 404}
    assert set(answer.json()) == {"error"}
    assert answer.json()["error"].startswith(sentence)


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        ("x", "messages: "),
        ([7], "messages.0: "),
        ([{"content": "x"}], "messages.0.role: "),
        ([{"role": "user", "content": "x", "images": ["aGk="]}], '"demo" does not support vision'),
        (
            [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}],
            "messages.0.tool_cal",
        ),
    ],
)
def test_messages_that_are_none_are_refused(demo: GatewayProcess, messages: object, sentence: str) -> None:
    answer = demo.client.post("/api/chat", json={"model": "demo", "messages": messages})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(sentence)


def test_bodies_that_are_none_are_errors_in_ollamas_shape(demo: GatewayProcess, slow: GatewayProcess) -> None:
    paths = ("/api/generate", "/api/chat", "/api/show", "/api/pull", "/api/embed", "/api/embeddings")
    for path in paths:
        assert _error(demo.client.post(path)) == (400, "missing request body")
        assert _error(demo.client.post(path, content=b"{"))[0] == 400
        assert _error(demo.client.post(path, content=b"[]"))[0] == 400
        assert _error(demo.client.post(path, content=b"\xff"))[0] == 400
        assert _error(demo.client.post(path, json={})) == (400, "model is required")
        assert _error(slow.client.post(path, content=b" " * 5000))[0] == 413
        assert _error(demo.client.get(path))[0] == 405
    assert _error(demo.client.post("/api/tags"))[0] == 405
    assert _error(demo.client.post("/api/nothing"))[0] == 404


def _error(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert set(answer.json()) == {"error"}
    sentence: str = answer.json()["error"]
    return answer.status_code, sentence
