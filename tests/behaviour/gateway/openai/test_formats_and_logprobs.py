"""Answers that are held to a format, and how probable their tokens were."""

import json
import re
from enum import Enum
from typing import Any

import pytest
from openai import LengthFinishReasonError, OpenAI
from pydantic import BaseModel

from tests.support.gateway_process import GatewayProcess

ASKED: Any = [{"role": "user", "content": "How do I change the port?"}]


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    name: Colour
    count: int | None


class Report(BaseModel):
    title: Colour
    parts: list[Part]
    done: bool


def test_parse_gives_the_callers_own_class(client: OpenAI) -> None:
    parsed = 0
    for seed in range(4):
        try:
            answer = client.chat.completions.parse(
                model="demo",
                messages=ASKED,
                response_format=Report,
                seed=seed,
                temperature=1,
                max_tokens=500,
            )
        except LengthFinishReasonError:
            continue
        assert isinstance(answer.choices[0].message.parsed, Report)
        parsed += 1
    assert parsed


def test_json_object_is_an_object(client: OpenAI) -> None:
    for seed in range(4):
        answer = client.chat.completions.create(
            model="demo", messages=ASKED, response_format={"type": "json_object"}, seed=seed, max_tokens=200
        )
        (choice,) = answer.choices
        if choice.finish_reason == "stop":
            assert isinstance(json.loads(choice.message.content or ""), dict)


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_object", "value": {"enum": ["red", "blue"]}}},
        {"response_format": {"type": "json_object", "schema": {"enum": ["red", "blue"]}}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "c", "schema": {"enum": ["red", "blue"]}}}},
        {"response_format": {"type": "regex", "value": '"(red|blue)"'}},
        {"structured_outputs": {"json": {"enum": ["red", "blue"]}}},
        {"structured_outputs": {"regex": '"(red|blue)"'}},
        {"structured_outputs": {"choice": ['"red"', '"blue"']}},
        {"guided_json": '{"enum": ["red", "blue"]}'},
        {"guided_regex": '"(red|blue)"'},
        {"guided_choice": ['"red"', '"blue"'], "guided_decoding_backend": "auto"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_every_way_to_ask_for_a_format_holds(demo: GatewayProcess, path: str, fields: dict[str, Any]) -> None:
    prompt: dict[str, Any] = {"messages": ASKED} if "chat" in path else {"prompt": "A colour:"}
    answer = demo.client.post(path, json={**prompt, **fields, "temperature": 3, "max_tokens": 64})
    assert answer.status_code == 200, answer.text
    (choice,) = answer.json()["choices"]
    text = choice["message"]["content"] if "chat" in path else choice["text"]
    assert json.loads(text) in {"red", "blue"}


def test_a_stop_token_that_does_not_exist_does_no_harm_to_a_format(demo: GatewayProcess) -> None:
    body = {"messages": ASKED, "structured_outputs": {"choice": ["red"]}, "stop_token_ids": [(1 << 31) - 1]}
    answer = demo.client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "red"


def test_choices_with_signs_of_regular_expressions_are_taken_as_they_are(demo: GatewayProcess) -> None:
    choices = ["a.b (c)", "50% - [x]*", "Zürich/2 & #1 ~"]
    body = {"messages": ASKED, "structured_outputs": {"choice": choices}, "temperature": 3, "max_tokens": 64}
    answer = demo.client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] in choices


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"response_format": {"type": "xml"}}, "expected text, json_object or json_schema"),
        ({"response_format": {"type": "json_schema"}}, "json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": 7}}}, "schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"not": {}}}}}, "not"),
        ({"response_format": {"type": ["text"]}}, "response_format"),
        ({"structured_outputs": {"regex": "(?=a)"}}, "cannot be held"),
        ({"structured_outputs": {"grammar": "root ::= a"}}, "grammar"),
        ({"structured_outputs": {"json": {}, "regex": "a"}}, "several"),
        ({"structured_outputs": {"choice": []}}, "choices"),
        ({"structured_outputs": {"json_object": True}, "response_format": {"type": "json_object"}}, "send one of them"),
        ({"guided_json": "{"}, "guided_json"),
        ({"guided_grammar": "root ::= a"}, "guided_grammar"),
    ],
)
def test_a_format_that_cannot_be_held_is_refused(demo: GatewayProcess, fields: dict[str, Any], words: str) -> None:
    answer = demo.client.post("/v1/chat/completions", json={"messages": ASKED, "max_tokens": 8, **fields})
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["error"]["message"]


def test_logprobs_spell_the_answer(client: OpenAI) -> None:
    for top in (0, 1):
        answer = client.chat.completions.create(
            model="demo",
            messages=[{"role": "user", "content": "Say hello with emoji."}],
            temperature=0,
            logprobs=True,
            top_logprobs=top,
        )
        (choice,) = answer.choices
        assert choice.logprobs is not None
        entries = choice.logprobs.content or []
        assert bytes(byte for entry in entries for byte in entry.bytes or []).decode() == choice.message.content
        assert all(entry.logprob <= 0 and len(entry.top_logprobs) == top for entry in entries)


def test_sampled_logprobs_are_streamed_as_in_the_whole_answer(client: OpenAI) -> None:
    asked: Any = {"model": "demo", "messages": ASKED, "temperature": 1, "seed": 4, "logprobs": True, "max_tokens": 12}
    whole = client.chat.completions.create(**asked).choices[0].logprobs
    streamed = [
        entry
        for chunk in client.chat.completions.create(**asked, stream=True)
        if chunk.choices[0].logprobs is not None
        for entry in chunk.choices[0].logprobs.content or []
    ]
    assert whole is not None
    assert [entry.token for entry in streamed] == [entry.token for entry in whole.content or []]


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", {"logprobs": True, "top_logprobs": 5, "temperature": 0}),
        ("/v1/chat/completions", {"logprobs": True, "top_logprobs": 1}),
        ("/v1/chat/completions", {"logprobs": True, "top_logprobs": 1, "temperature": 0, "presence_penalty": 1}),
        ("/v1/chat/completions", {"top_logprobs": 1, "temperature": 0}),
        ("/v1/chat/completions", {"logprobs": True, "top_logprobs": 21}),
        ("/v1/completions", {"logprobs": 1}),
        ("/v1/completions", {"logprobs": 5, "temperature": 0}),
        ("/v1/completions", {"logprobs": 0, "echo": True}),
    ],
)
def test_logprobs_beyond_the_chosen_token_are_refused(demo: GatewayProcess, path: str, fields: dict[str, Any]) -> None:
    answer = demo.client.post(path, json={"messages": ASKED, "prompt": "One", **fields})
    assert answer.status_code == 400, answer.text
    assert re.search("logprobs", answer.json()["error"]["message"])
