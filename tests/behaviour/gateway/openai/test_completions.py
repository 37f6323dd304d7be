"""/v1/completions: texts and token ids as they are, one or several."""

from typing import Any

import pytest
from openai import OpenAI

from tests.support.gateway_process import GatewayProcess


def test_a_completion_goes_on_with_the_text_as_it_is(client: OpenAI) -> None:
    answer = client.completions.create(model="demo", prompt="The port is set by", temperature=0)
    assert answer.object == "text_completion"
    assert answer.id.startswith("cmpl-")
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 16
    assert answer.choices[0].text


def test_every_shape_of_a_prompt_means_the_same(demo: GatewayProcess, client: OpenAI) -> None:
    texts = ["One, two", "How do I change the port?"]
    ids = [demo.client.post("/tokenize", json={"prompt": text}).json()["tokens"] for text in texts]
    shapes: list[Any] = [texts, ids]
    answers = [client.completions.create(model="demo", prompt=shape, temperature=0, max_tokens=5) for shape in shapes]
    assert answers[0].choices == answers[1].choices
    assert answers[0].usage is not None
    assert answers[0].usage.prompt_tokens == len(ids[0]) + len(ids[1])
    for shape in shapes:
        alone = client.completions.create(model="demo", prompt=shape[0], temperature=0, max_tokens=5)
        assert alone.choices[0].text == answers[0].choices[0].text


def test_answers_are_numbered_by_prompt_and_then_by_n(client: OpenAI) -> None:
    asked: dict[str, Any] = {"model": "demo", "temperature": 2, "seed": 3, "max_tokens": 8, "n": 2}
    together = client.completions.create(prompt=["One,", "Two,", "Three,"], **asked)
    assert [choice.index for choice in together.choices] == list(range(6))
    second = client.completions.create(prompt="Two,", **asked)
    assert [choice.text for choice in together.choices[2:4]] == [choice.text for choice in second.choices]


def test_several_prompts_share_one_stream(client: OpenAI) -> None:
    prompts = [f"The number {index} is" for index in range(20)]
    asked: dict[str, Any] = {"model": "demo", "prompt": prompts, "temperature": 0, "max_tokens": 6}
    whole = client.completions.create(**asked)
    texts = [""] * 20
    for chunk in client.completions.create(**asked, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts == [choice.text for choice in whole.choices]


def test_echo_gives_the_prompt_back_even_of_token_ids(demo: GatewayProcess, client: OpenAI) -> None:
    asked: dict[str, Any] = {"model": "demo", "temperature": 0, "max_tokens": 3, "echo": True}
    ids = demo.client.post("/tokenize", json={"prompt": "One, two"}).json()["tokens"]
    for prompt in ("One, two", ids):
        assert client.completions.create(prompt=prompt, **asked).choices[0].text.startswith("One, two")
    several = client.completions.create(prompt=["One,", "Two,"], n=2, **{**asked, "temperature": 1})
    assert [choice.text[:4] for choice in several.choices] == ["One,", "One,", "Two,", "Two,"]


def test_logprobs_are_columns_whose_offsets_lead_into_the_text(client: OpenAI) -> None:
    for num in (0, 1):
        answer = client.completions.create(model="demo", prompt="One, two", temperature=0, max_tokens=6, logprobs=num)
        (choice,) = answer.choices
        columns = choice.logprobs
        assert columns is not None
        assert "".join(columns.tokens or []) == choice.text
        assert columns.text_offset is not None
        for token, offset in zip(columns.tokens or [], columns.text_offset, strict=True):
            assert choice.text[offset:].startswith(token)
        assert all(logprob <= 0 for logprob in columns.token_logprobs or [])


def test_the_flag_that_chat_has_means_the_same_here(demo: GatewayProcess) -> None:
    for flag, has_them in ((True, True), (False, False), (None, False)):
        answer = demo.client.post("/v1/completions", json={"prompt": "One,", "max_tokens": 2, "logprobs": flag})
        assert (answer.json()["choices"][0]["logprobs"] is not None) is has_them


def test_streamed_logprobs_are_those_of_the_whole_answer(client: OpenAI) -> None:
    asked: dict[str, Any] = {"model": "demo", "prompt": "One, two", "temperature": 0, "max_tokens": 6, "logprobs": 0}
    whole = client.completions.create(**asked).choices[0].logprobs
    tokens: list[str] = []
    offsets: list[int] = []
    for chunk in client.completions.create(**asked, stream=True):
        columns = chunk.choices[0].logprobs
        if columns is not None:
            tokens += columns.tokens or []
            offsets += columns.text_offset or []
    assert whole is not None
    assert (tokens, offsets) == (whole.tokens, whole.text_offset)


@pytest.mark.parametrize(
    "prompt",
    [[], [[]], ["a", 1], [["a"]], [[1], 2], {"a": 1}, 7, [None], "", [2**70], [-1], [10**9], [[1], []], [True]],
)
def test_what_is_no_prompt_is_refused(demo: GatewayProcess, prompt: object) -> None:
    answer = demo.client.post("/v1/completions", json={"prompt": prompt})
    assert answer.status_code == 400, answer.text
    assert "prompt" in answer.json()["error"]["message"]


def test_one_prompt_that_fails_fails_them_all(demo: GatewayProcess) -> None:
    body = {"prompt": ["fine", "warm " * 5000, "fine"]}
    answer = demo.client.post("/v1/completions", json=body, headers={"X-Request-ID": "one-too-long"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"
    assert answer.json()["error"]["param"] == "prompt"
    assert demo.wait_for("request", id="one-too-long")["outcome"] == "refused"
