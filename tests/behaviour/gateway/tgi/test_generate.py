"""TGI's answers that come all at once, as the official client reads them."""

import json
from typing import Any

import pytest
from huggingface_hub import (
    AsyncInferenceClient,
    InferenceClient,
    TextGenerationInputGrammarType,
    TextGenerationOutput,
    TextGenerationOutputDetails,
)

from tests.support.gateway_process import GatewayProcess

QUESTION = "How do I change the port?"
OWN_QUESTION = "Which memory does it need?"
"""For draws that are compared: what of a prompt is cached changes the last bits of its probabilities."""


def test_the_client_gets_the_same_text_plain_streamed_and_with_details(client: InferenceClient) -> None:
    plain = client.text_generation(QUESTION)
    assert "GATEWAY_PORT" in plain
    assert "".join(client.text_generation(QUESTION, stream=True)) == plain
    assert client.text_generation(QUESTION, details=True).generated_text == plain


async def test_the_asynchronous_client_gets_it_too(demo: GatewayProcess, client: InferenceClient) -> None:
    async with AsyncInferenceClient(demo.url, provider="hf-inference") as official:
        plain = await official.text_generation(QUESTION)
        pieces = [piece async for piece in await official.text_generation(QUESTION, stream=True)]
    assert plain == "".join(pieces) == client.text_generation(QUESTION)


def test_inputs_are_taken_without_the_chat_template(demo: GatewayProcess) -> None:
    raw = demo.generate(QUESTION, raw=True).json()["output"]
    assert demo.client.post("/generate", json={"inputs": QUESTION, "parameters": {}}).json() == {"generated_text": raw}


def test_a_templated_question_has_the_answer_of_the_native_api(demo: GatewayProcess) -> None:
    chat = {"messages": [{"role": "user", "content": QUESTION}]}
    text = demo.client.post("/chat_tokenize", json=chat).json()["templated_text"]
    answer = demo.client.post("/generate", json={"inputs": text, "parameters": {}}).json()
    assert answer["generated_text"] == demo.generate(QUESTION).json()["output"]


def test_the_client_chats_with_the_same_model(demo: GatewayProcess, client: InferenceClient) -> None:
    messages = [{"role": "user", "content": QUESTION}]
    answer = client.chat_completion(messages, temperature=0, max_tokens=64).choices[0].message.content
    pieces = client.chat_completion(messages, temperature=0, max_tokens=64, stream=True)
    assert answer == "".join(piece.choices[0].delta.content or "" for piece in pieces)
    assert answer == demo.generate(QUESTION, max_tokens=64).json()["output"]


def test_the_base_url_answers_with_a_list_of_one(demo: GatewayProcess) -> None:
    body = {"inputs": QUESTION, "parameters": {"max_new_tokens": 5}}
    (answer,) = demo.client.post("/", json=body).json()
    assert answer == demo.client.post("/generate", json=body).json()


def test_details_end_with_the_token_that_ended_the_answer(client: InferenceClient) -> None:
    text, details = _with_details(client)
    *tokens, last = details.tokens
    assert "".join(token.text for token in tokens) == text
    assert details.finish_reason == "eos_token"
    assert (last.special, last.text) == (True, "")
    assert not any(token.special for token in tokens)
    assert all(token.logprob <= 0 for token in details.tokens)
    assert details.generated_tokens == len(details.tokens)
    assert details.prefill == []
    assert details.seed is None


def test_a_limit_of_tokens_ends_the_answer_with_length(client: InferenceClient) -> None:
    _, details = _with_details(client, max_new_tokens=3)
    assert (details.finish_reason, details.generated_tokens, len(details.tokens)) == ("length", 3, 3)


def test_a_stop_sequence_ends_the_answer_and_is_its_end(client: InferenceClient) -> None:
    text, details = _with_details(client, stop=["never said", "PORT"])
    assert text.endswith("GATEWAY_PORT")
    assert details.finish_reason == "stop_sequence"
    assert "".join(token.text for token in details.tokens) == text


@pytest.mark.parametrize(
    "keys", [{"do_sample": True}, {"temperature": 0.7}, {"top_k": 5}, {"top_p": 0.9}, {"do_sample": True, "seed": 5}]
)
def test_each_sampling_key_draws_and_tells_its_seed(client: InferenceClient, keys: dict[str, Any]) -> None:
    _, details = _with_details(client, max_new_tokens=1, **keys)
    assert details.seed == keys.get("seed", details.seed)
    assert details.seed is not None


@pytest.mark.parametrize("keys", [{}, {"temperature": 1.0}, {"do_sample": False}, {"seed": 5}])
def test_without_one_the_likeliest_token_is_taken(client: InferenceClient, keys: dict[str, Any]) -> None:
    assert _with_details(client, max_new_tokens=1, **keys)[1].seed is None


def test_a_seed_brings_the_same_answer_again(client: InferenceClient) -> None:
    keys: dict[str, Any] = {"temperature": 5.0, "max_new_tokens": 24}
    text, details = _with_details(client, OWN_QUESTION, **keys)
    assert details.seed is not None
    assert client.text_generation(OWN_QUESTION, seed=details.seed, **keys) == text
    assert client.text_generation(OWN_QUESTION, seed=details.seed + 1, **keys) != text


def test_the_best_of_several_is_the_likeliest_and_the_others_can_be_had_again(client: InferenceClient) -> None:
    keys: dict[str, Any] = {"temperature": 3.0, "max_new_tokens": 8}
    _, details = _with_details(client, OWN_QUESTION, best_of=4, **keys)
    others = details.best_of_sequences
    assert others is not None
    assert len(others) == 3
    tokens = [details.tokens, *(other.tokens for other in others)]
    means = [sum(token.logprob for token in one) / len(one) for one in tokens]
    assert means[0] == max(means)
    for other in others:
        assert client.text_generation(OWN_QUESTION, seed=other.seed, **keys) == other.generated_text


def test_a_longer_prompt_is_cut_at_its_beginning(demo: GatewayProcess) -> None:
    body = {"inputs": f"Forget this. {QUESTION}", "parameters": {"truncate": 7, "max_new_tokens": 8}}
    answer = demo.client.post("/generate", json=body)
    assert answer.headers["x-prompt-tokens"] == "7"
    whole = demo.client.post("/generate", json={"inputs": QUESTION, "parameters": {"max_new_tokens": 8}})
    assert whole.headers["x-prompt-tokens"] == "7"
    assert [token["text"] for token in demo.client.post("/tokenize", json=body).json()][-1] == "?"


def test_the_full_text_begins_with_the_prompt(client: InferenceClient) -> None:
    answer = client.text_generation(QUESTION, max_new_tokens=5)
    assert client.text_generation(QUESTION, max_new_tokens=5, return_full_text=True) == QUESTION + answer
    last = list(client.text_generation(QUESTION, max_new_tokens=5, return_full_text=True, stream=True, details=True))[
        -1
    ]
    assert last.generated_text == QUESTION + answer


def test_a_grammar_holds_the_answer_to_a_regular_expression(client: InferenceClient) -> None:
    grammar = TextGenerationInputGrammarType("regex", "[0-9]{4}")
    assert client.text_generation("The port is ", grammar=grammar).isdigit()


@pytest.mark.parametrize("kind", ["json", "json_object", "json_schema", "text"])
def test_a_grammar_holds_the_answer_to_a_schema(demo: GatewayProcess, kind: str) -> None:
    schema = {"type": "object", "properties": {"ready": {"type": "boolean"}}, "required": ["ready"]}
    value = {"json_schema": {"name": "state", "schema": schema}, "text": json.dumps(schema)}.get(kind, schema)
    parameters = {"grammar": {"type": "json" if kind == "text" else kind, "value": value}, "max_new_tokens": 400}
    answer = demo.client.post("/generate", json={"inputs": "Is it ready?", "parameters": parameters}).json()
    assert isinstance(json.loads(answer["generated_text"])["ready"], bool)


def test_headers_tell_how_long_it_took(demo: GatewayProcess) -> None:
    headers = demo.client.post("/generate", json={"inputs": QUESTION, "parameters": {"max_new_tokens": 9}}).headers
    assert headers["x-compute-type"] == "cpu"
    assert headers["x-compute-characters"] == str(len(QUESTION))
    assert (headers["x-prompt-tokens"], headers["x-generated-tokens"]) == ("7", "9")
    times = [int(headers[f"x-{name}-time"]) for name in ("validation", "queue", "inference")]
    assert sum(times) <= int(headers["x-total-time"]) <= 1000 * float(headers["x-compute-time"])
    assert int(headers["x-time-per-token"]) <= times[2]


def test_generated_tokens_count_the_end_with_details_and_without(demo: GatewayProcess) -> None:
    bodies = [{"inputs": QUESTION, "parameters": {"details": details}} for details in (False, True)]
    plain, detailed = (demo.client.post("/generate", json=body) for body in bodies)
    assert plain.headers["x-generated-tokens"] == detailed.headers["x-generated-tokens"]
    assert int(plain.headers["x-generated-tokens"]) == detailed.json()["details"]["generated_tokens"]


def _with_details(
    client: InferenceClient,
    question: str = QUESTION,
    **keys: Any,  # noqa: ANN401 - whatever the client takes
) -> tuple[str, TextGenerationOutputDetails]:
    answer = client.text_generation(question, details=True, stream=False, **keys)
    assert isinstance(answer, TextGenerationOutput)
    assert answer.details is not None
    return answer.generated_text, answer.details
