"""What is the same whoever asks: one question, one answer; one page that shows every route."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.gateway_process import GatewayProcess, gateway

QUESTION = "How do I change the port?"
AS_THE_TEMPLATE_WRITES_IT = f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
MESSAGES = [{"role": "user", "content": QUESTION}]
HOT = {"temperature": 3.0, "top_p": 0.95, "seed": 7}
"""Hot enough for the demo model to go astray, so that only the same seed gives the same text."""

Ask = Callable[[httpx.Client], str]


def _post(path: str, body: dict[str, Any], read: Callable[[Any], str]) -> Ask:
    def ask(client: httpx.Client) -> str:
        response = client.post(path, json=body)
        assert response.status_code == 200, response.text
        return read(response.json())

    return ask


def _stream(path: str, body: dict[str, Any], read: Callable[[str], str]) -> Ask:
    def ask(client: httpx.Client) -> str:
        response = client.post(path, json=body)
        assert response.status_code == 200, response.text
        return read(response.text)

    return ask


def _events(text: str) -> list[Any]:
    return [json.loads(data) for data in re.findall(r"^data: ?(\{.*)$", text, re.MULTILINE)]


def _lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def _openai_delta(text: str) -> str:
    return "".join(event["choices"][0]["delta"].get("content") or "" for event in _events(text))


OPENAI = {"model": "demo", "max_tokens": 40, **HOT}
TGI = {"max_new_tokens": 40, **HOT}
OLLAMA = {"model": "demo", "options": {"num_predict": 40, "top_k": 0, **HOT}}
EVERY_WAY: dict[str, Ask] = {
    "native": _post("/generate", {"prompt": QUESTION, "max_tokens": 40, **HOT}, lambda answer: answer["output"]),
    "native stream": _stream("/stream", {"prompt": QUESTION, "max_tokens": 40, **HOT}, str),
    "chat": _post(
        "/v1/chat/completions",
        {"messages": MESSAGES, **OPENAI},
        lambda answer: answer["choices"][0]["message"]["content"],
    ),
    "chat stream": _stream("/v1/chat/completions", {"messages": MESSAGES, "stream": True, **OPENAI}, _openai_delta),
    "completions": _post(
        "/v1/completions",
        {"prompt": AS_THE_TEMPLATE_WRITES_IT, **OPENAI},
        lambda answer: answer["choices"][0]["text"],
    ),
    "batch": _post(
        "/v1/completions/batch",
        [{"messages": MESSAGES, **OPENAI}],  # type: ignore[arg-type]  # the one body that is a list
        lambda answer: answer[0]["choices"][0]["message"]["content"],
    ),
    "TGI": _post(
        "/generate",
        {"inputs": AS_THE_TEMPLATE_WRITES_IT, "parameters": TGI},
        lambda answer: answer["generated_text"],
    ),
    "TGI stream": _stream(
        "/generate_stream",
        {"inputs": AS_THE_TEMPLATE_WRITES_IT, "parameters": TGI},
        lambda text: _events(text)[-1]["generated_text"],
    ),
    "TGI at /": _post(
        "/", {"inputs": AS_THE_TEMPLATE_WRITES_IT, "parameters": TGI}, lambda answer: answer[0]["generated_text"]
    ),
    "Ollama chat": _post(
        "/api/chat", {"messages": MESSAGES, "stream": False, **OLLAMA}, lambda answer: answer["message"]["content"]
    ),
    "Ollama chat stream": _stream(
        "/api/chat",
        {"messages": MESSAGES, **OLLAMA},
        lambda text: "".join(line["message"]["content"] for line in _lines(text)),
    ),
    "Ollama generate": _post(
        "/api/generate", {"prompt": QUESTION, "stream": False, **OLLAMA}, lambda answer: answer["response"]
    ),
}


def test_the_same_question_with_the_same_seed_has_the_same_answer_in_every_dialect(demo_store: Path) -> None:
    # What a prefix was computed with differs in its last bits from what it is computed with alone, and at such a
    # temperature a last bit can tip a draw.
    with gateway(demo_store, PREFIX_CACHING="false") as running:
        running.wait_until_ready()
        answers = {name: ask(running.client) for name, ask in EVERY_WAY.items()}
        other = running.client.post("/generate", json={"prompt": QUESTION, "max_tokens": 40, **HOT, "seed": 8})
    assert len(set(answers.values())) == 1, answers
    assert other.json()["output"] != answers["native"], "the seed has to matter, or this shows nothing"


def test_the_page_of_all_routes_takes_nothing_from_the_network(demo: GatewayProcess) -> None:
    page = demo.client.get("/docs")
    assert page.status_code == 200
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert sources
    for source in sources:
        assert source.startswith("/")
        assert demo.client.get(source).status_code == 200


def test_every_body_on_the_page_of_all_routes_has_an_example_that_is_answered(demo: GatewayProcess) -> None:
    description = demo.client.get("/openapi.json").json()
    posts = {
        path: methods["post"]
        for path, methods in description["paths"].items()
        if "requestBody" in methods.get("post", {})
    }
    assert len(posts) > 12
    for path, operation in posts.items():
        examples = _examples(description, operation["requestBody"]["content"]["application/json"])
        assert examples, f"{path} shows no example"
        for example in examples:
            answer = demo.client.post(path, json=example)
            # What is not served in this version says so, as a refusal in one sentence.
            assert answer.status_code in {200, 400, 422, 501}, f"{path} {example}: {answer.text}"
            if answer.status_code != 200:
                assert "embed" in path or "push" in path or "create" in path or "copy" in path, f"{path}: {answer.text}"


def _examples(description: dict[str, Any], content: dict[str, Any]) -> list[Any]:
    found = [example["value"] for example in content.get("examples", {}).values()]
    schema = content["schema"]
    while "$ref" in schema:
        schema = description["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return found or schema.get("examples", [])


@pytest.mark.parametrize(
    ("accept", "status"), [("*/*", 200), ("text/html,application/xhtml+xml", 307), ("application/json", 200)]
)
def test_the_root_suits_clients_that_look_whether_anything_runs_and_browsers(
    demo: GatewayProcess, accept: str, status: int
) -> None:
    answer = demo.client.get("/", headers={"Accept": accept})
    assert answer.status_code == status
    if status == 200:
        assert answer.text == "Ollama is running"
        assert demo.client.head("/").status_code == 200


@pytest.mark.parametrize("path", ["/v1/nothing", "/api/nothing", "/generate_stream/nothing", "/nothing"])
def test_nothing_is_ever_said_in_the_words_of_the_web_framework(demo: GatewayProcess, path: str) -> None:
    for response in (demo.client.get(path), demo.client.post(path, json={}), demo.client.delete("/v1/models")):
        assert response.status_code in {404, 405}
        assert "detail" not in response.json()
