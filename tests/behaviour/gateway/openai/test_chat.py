"""/v1/chat/completions with the official client: answers that are whole."""

import json
from typing import Any

import pytest
from huggingface_hub import InferenceClient
from openai import AsyncOpenAI, OpenAI

from tests.support.gateway_process import GatewayProcess

QUESTION = "How do I change the port?"
ASKED: Any = [{"role": "user", "content": QUESTION}]
ANYTHING: Any = [{"role": "user", "content": "Tell me anything."}]


def test_an_answer_has_what_the_official_client_reads(demo: GatewayProcess, client: OpenAI) -> None:
    answer = client.chat.completions.create(model="demo", messages=ASKED, temperature=0)
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")
    assert answer.model == "demo"
    assert answer.system_fingerprint is not None
    assert answer.system_fingerprint.startswith("fp_")
    (choice,) = answer.choices
    assert choice.index == 0
    assert choice.finish_reason == "stop"
    assert choice.message.role == "assistant"
    assert "GATEWAY_PORT" in (choice.message.content or "")
    assert choice.message.tool_calls is None
    assert choice.logprobs is None
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.prompt_tokens_details is not None
    line = demo.wait_for("request", id=answer.id.removeprefix("chatcmpl-"))
    assert (line["dialect"], line["outcome"]) == ("openai", "finished")
    assert line["completion_tokens"] == answer.usage.completion_tokens


async def test_the_async_client_gets_the_same_answer(demo: GatewayProcess, client: OpenAI) -> None:
    async with AsyncOpenAI(base_url=f"{demo.url}/v1", api_key="not needed") as asynchronous:
        answer = await asynchronous.chat.completions.create(model="demo", messages=ASKED, temperature=0)
    same = client.chat.completions.create(model="demo", messages=ASKED, temperature=0)
    assert answer.choices == same.choices


def test_the_raw_response_has_the_request_id_of_the_caller(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="demo", messages=ASKED, max_tokens=1, extra_headers={"X-Request-ID": 'ticket-"17"'}
    )
    assert raw.headers["x-request-id"] == 'ticket-"17"'
    assert raw.headers["content-type"] == "application/json"
    assert raw.parse().id == 'chatcmpl-ticket-"17"'


def test_a_prompt_that_was_seen_before_is_counted_as_cached(client: OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "Which profiles are there, and how do I choose one? " * 8}]
    for _ in range(2):
        answer = client.chat.completions.create(model="demo", messages=messages, max_tokens=2)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens_details is not None
    assert 0 < (answer.usage.prompt_tokens_details.cached_tokens or 0) <= answer.usage.prompt_tokens


@pytest.mark.parametrize("seed", [3, -1, 2**40])
def test_a_seed_makes_sampling_repeatable(client: OpenAI, seed: int) -> None:
    def sample() -> str | None:
        answer = client.chat.completions.create(
            model="demo", messages=ANYTHING, temperature=2, seed=seed, max_tokens=16
        )
        return answer.choices[0].message.content

    assert sample() == sample()


def test_several_answers_are_numbered_and_differ(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="demo", messages=ANYTHING, n=4, temperature=2, seed=7, max_tokens=16, extra_body={"top_k": 50}
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert len({choice.message.content for choice in answer.choices}) > 1


def test_the_newer_name_of_the_limit_wins_over_the_older_one(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="demo", messages=ASKED, max_completion_tokens=3, max_tokens=9, temperature=0
    )
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3
    assert answer.choices[0].finish_reason == "length"


@pytest.mark.parametrize("stop", ["5", ["never said", "5", ""]])
def test_a_stop_string_ends_the_answer_and_is_told(client: OpenAI, stop: str | list[str]) -> None:
    answer = client.chat.completions.create(
        model="demo", messages=[{"role": "user", "content": "Count from 1 to 10."}], temperature=0, stop=stop
    )
    content = answer.choices[0].message.content or ""
    assert "4" in content
    assert "5" not in content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].to_dict()["stop_reason"] == "5"


def test_extra_fields_of_vllm_are_honoured(client: OpenAI) -> None:
    def ask(**extra: object) -> tuple[str, object, int]:
        answer = client.chat.completions.create(
            model="demo", messages=ASKED, temperature=0, max_tokens=60, extra_body=extra
        )
        assert answer.usage is not None
        choice = answer.choices[0]
        return choice.message.content or "", choice.to_dict()["stop_reason"], answer.usage.completion_tokens

    plain, _, num_tokens = ask()
    assert num_tokens < 58
    assert ask(ignore_eos=True)[2] == 60
    assert ask(min_tokens=num_tokens + 2)[2] >= num_tokens + 2
    assert ask(stop=["PORT"], include_stop_str_in_output=True)[0] == plain[: plain.index("PORT") + 4]
    assert ask(top_k=-1, min_p=0.1, top_p=0, repetition_penalty=1.0)[0] == plain
    assert ask(repetition_penalty=5.0)[0] != plain


def test_a_stop_token_ends_the_answer_and_is_told(demo: GatewayProcess, client: OpenAI) -> None:
    whole = client.chat.completions.create(model="demo", messages=ASKED, temperature=0, logprobs=True)
    assert whole.choices[0].logprobs is not None
    first, second, *_ = [entry.token for entry in whole.choices[0].logprobs.content or []]
    (stop,) = demo.client.post("/tokenize", json={"prompt": second, "add_special_tokens": False}).json()["tokens"]
    answer = client.chat.completions.create(
        model="demo", messages=ASKED, temperature=0, extra_body={"stop_token_ids": [stop, (1 << 31) - 1]}
    )
    assert answer.choices[0].to_dict()["stop_reason"] == stop
    assert answer.choices[0].message.content == first


def test_a_greedy_answer_is_the_one_of_the_native_api(demo: GatewayProcess, client: OpenAI) -> None:
    answer = client.chat.completions.create(model="demo", messages=ASKED, temperature=0)
    assert answer.choices[0].message.content == demo.generate(QUESTION).json()["output"]


@pytest.mark.parametrize(
    "content",
    [[{"type": "text", "text": QUESTION}], [{"type": "text", "text": "How do I"}, {"type": "text", "text": "x"}]],
)
def test_content_may_come_in_parts(client: OpenAI, content: list[object]) -> None:
    messages: Any = [{"role": "user", "content": content}]
    answer = client.chat.completions.create(
        model="demo",
        messages=messages,
        max_tokens=4,
    )
    assert answer.choices[0].message.content


def test_the_last_message_can_be_continued(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="demo", messages=ASKED, temperature=0).choices[0].message.content or ""
    begun = [*ASKED, {"role": "assistant", "content": whole[:16]}]
    extra = {"continue_final_message": True, "add_generation_prompt": False}
    rest = client.chat.completions.create(
        model="demo",
        messages=begun,
        temperature=0,
        extra_body=extra,
    )
    assert whole[:16] + (rest.choices[0].message.content or "") == whole


def test_a_prompt_can_be_cut_at_its_beginning(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="demo", messages=ASKED, max_tokens=1, extra_body={"truncate_prompt_tokens": 5}
    )
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 5


@pytest.mark.parametrize("model", ["demo", "demo:latest", "", "tgi", "dummy"])
def test_the_served_model_has_several_names(client: OpenAI, model: str) -> None:
    assert client.chat.completions.create(model=model, messages=ASKED, max_tokens=1).model == "demo"


def test_huggingface_hubs_client_knows_the_url_alone(demo: GatewayProcess) -> None:
    with InferenceClient(base_url=demo.url) as client:
        whole = client.chat_completion(ASKED, temperature=0, max_tokens=40)
        chunks = client.chat_completion(ASKED, temperature=0, max_tokens=40, stream=True)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        schema = {"type": "object", "properties": {"port": {"enum": [80, 8085]}}, "required": ["port"]}
        described: Any = {"type": "json_schema", "json_schema": {"name": "port", "schema": schema}}
        held = client.chat_completion(ASKED, response_format=described, max_tokens=60)
    assert text == whole.choices[0].message.content
    assert json.loads(held.choices[0].message.content or "")["port"] in {80, 8085}


def test_what_has_no_effect_on_the_answer_is_ignored(demo: GatewayProcess) -> None:
    body = {
        "messages": ASKED,
        "max_tokens": 2,
        "user": "somebody",
        "metadata": {"a": "b"},
        "store": False,
        "service_tier": "auto",
        "logit_bias": {},
        "prediction": {"type": "content", "content": "Set"},
        "modalities": ["text"],
        "stream_options": {"include_usage": True},
        "tools": [],
        "tool_choice": "auto",
        "response_format": {"type": "text"},
        "reasoning_effort": "low",
        "length_penalty": 1.0,
        "best_of": 1,
        "never_heard_of": [1, 2],
    }
    answer = demo.client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    nulls = {**dict.fromkeys(json.loads(json.dumps(body)), None), "messages": ASKED, "max_tokens": 2}
    assert demo.client.post("/v1/chat/completions", json=nulls).status_code == 200
