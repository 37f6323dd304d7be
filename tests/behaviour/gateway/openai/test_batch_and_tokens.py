"""Lists of requests, lists of models, and token ids."""

from typing import Any

from openai import OpenAI

from tests.support.gateway_process import GatewayProcess

BATCH = "/v1/completions/batch"
ASKED: Any = [{"role": "user", "content": "How do I change the port?"}]


def test_a_batch_is_answered_in_order_and_each_item_fails_alone(demo: GatewayProcess) -> None:
    items = [
        {"messages": ASKED, "temperature": 0},
        {"prompt": "One, two", "temperature": 0, "max_tokens": 3},
        {"prompt": "warm " * 5000},
        {"prompt": "a", "model": "gpt-4o"},
        {"prompt": "a", "stream": True},
        {"messages": []},
        {},
        7,
        {"prompt": ["One,", "Two,"], "max_tokens": 2},
    ]
    answer = demo.client.post(BATCH, json=items, headers={"X-Request-ID": "the-batch"})
    assert answer.status_code == 200
    chat, completion, *failed, several = answer.json()
    assert "GATEWAY_PORT" in chat["choices"][0]["message"]["content"]
    assert (chat["object"], chat["id"]) == ("chat.completion", "chatcmpl-the-batch-0")
    assert (completion["object"], completion["id"]) == ("text_completion", "cmpl-the-batch-1")
    assert [set(item) for item in failed] == [{"error"}] * 6
    assert [item["error"]["code"] for item in failed] == [
        "context_length_exceeded",
        "model_not_found",
        *["invalid_request"] * 4,
    ]
    assert len(several["choices"]) == 2
    line = demo.wait_for("request", id="the-batch")
    assert line["outcome"] == "finished"
    assert line["completion_tokens"] == sum(one["usage"]["completion_tokens"] for one in (chat, completion, several))


def test_a_long_batch_waits_for_itself_and_leaves_room_for_others(demo: GatewayProcess) -> None:
    answers = demo.client.post(BATCH, json=[{"prompt": f"{index} and", "max_tokens": 1} for index in range(200)]).json()
    assert len(answers) == 200
    assert all(answer["object"] == "text_completion" for answer in answers)
    assert demo.client.post(BATCH, json=[]).json() == []


def test_a_batch_of_more_items_than_can_be_is_refused_as_a_whole(demo: GatewayProcess) -> None:
    answer = demo.client.post(BATCH, json=[0] * 1025)
    assert answer.status_code == 400
    assert "1024" in answer.json()["error"]["message"]


def test_what_is_no_list_is_no_batch(demo: GatewayProcess) -> None:
    answer = demo.client.post(BATCH, json={"prompt": "a"})
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}


def test_the_served_model_is_listed(demo: GatewayProcess, client: OpenAI) -> None:
    context_tokens = next(line for line in demo.log if line["event"] == "ready")["context_tokens"]
    (model,) = client.models.list().data
    assert (model.id, model.object, model.owned_by) == ("demo", "model", "preheat")
    assert model.created > 1_700_000_000
    assert model.to_dict()["max_model_len"] == context_tokens
    assert client.models.retrieve("demo") == model


def test_token_ids_are_those_of_a_completion_and_go_back_to_text(demo: GatewayProcess) -> None:
    text = "How do I change the port? 🚀"
    answer = demo.client.post("/tokenize", json={"prompt": text, "return_token_strs": True}).json()
    assert set(answer) == {"count", "max_model_len", "tokens", "token_strs"}
    assert answer["count"] == len(answer["tokens"]) == len(answer["token_strs"])
    completed = demo.client.post("/v1/completions", json={"prompt": text, "max_tokens": 1}).json()
    assert completed["usage"]["prompt_tokens"] == answer["count"]
    back = demo.client.post("/detokenize", json={"tokens": answer["tokens"]})
    assert back.json() == {"prompt": text}


def test_a_conversation_is_tokenized_as_it_would_be_answered(demo: GatewayProcess) -> None:
    answer = demo.client.post("/tokenize", json={"messages": ASKED}).json()
    assert answer["token_strs"] is None
    chat = demo.client.post("/v1/chat/completions", json={"messages": ASKED, "max_tokens": 1}).json()
    assert chat["usage"]["prompt_tokens"] == answer["count"]
    shorter = demo.client.post("/tokenize", json={"messages": ASKED, "add_generation_prompt": False}).json()
    assert answer["tokens"][: shorter["count"]] == shorter["tokens"]
    assert shorter["count"] < answer["count"]


def test_ids_that_are_no_tokens_are_refused(demo: GatewayProcess) -> None:
    for tokens in ([10**8], [-1], "abc", [2**70], ["a"]):
        answer = demo.client.post("/detokenize", json={"tokens": tokens})
        assert answer.status_code == 400
        assert "tokens" in answer.json()["error"]["message"]
    assert demo.client.post("/tokenize", json={"prompt": "a", "messages": ASKED}).status_code == 400
    assert demo.client.post("/tokenize", json={}).status_code == 400


def test_the_description_of_the_api_shows_every_route_with_an_example(demo: GatewayProcess) -> None:
    described = demo.client.get("/openapi.json").json()
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/detokenize", BATCH):
        operation = described["paths"][path]["post"]
        assert operation["description"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        name = schema.get("$ref", "").rpartition("/")[2]
        assert schema.get("examples") or described["components"]["schemas"][name]["examples"]
    assert {"/v1/models", "/v1/models/{model}"} <= set(described["paths"])
