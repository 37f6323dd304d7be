"""What TGI's clients ask before they generate: what is served, and how many tokens a text has."""

from huggingface_hub import InferenceClient

from tests.support.gateway_process import GatewayProcess

QUESTION = "How do I change the port?"
_REQUIRED = {
    *("model_id", "max_concurrent_requests", "max_best_of", "max_stop_sequences", "max_input_tokens"),
    *("max_total_tokens", "validation_workers", "max_client_batch_size", "router", "version"),
}
"""In the schema that TGI publishes for /info."""


def test_info_has_what_is_required_and_is_true(demo: GatewayProcess, client: InferenceClient) -> None:
    info = client.get_endpoint_info()
    context_tokens = next(line for line in demo.log if line["event"] == "ready")["context_tokens"]
    assert set(info) > _REQUIRED
    assert info["model_id"] == "demo"
    assert len(info["model_sha"]) == 40
    assert info["model_dtype"] == "bf16"
    assert (info["max_total_tokens"], info["max_input_tokens"]) == (context_tokens, context_tokens - 1)
    assert info["version"] == demo.client.get("/version").json()["version"]


def test_the_client_finds_the_gateway_healthy(client: InferenceClient) -> None:
    assert client.health_check()


def test_tokens_have_their_place_in_the_text(demo: GatewayProcess) -> None:
    text = "Hello \N{GRINNING FACE} there"
    tokens = demo.client.post("/tokenize", json={"inputs": text}).json()
    assert [set(token) for token in tokens] == [{"id", "text", "start", "stop"}] * len(tokens)
    assert all(token["text"] == text[token["start"] : token["stop"]] for token in tokens)
    assert (tokens[0]["start"], tokens[-1]["stop"]) == (0, len(text))


def test_a_conversation_is_shown_as_the_model_reads_it(demo: GatewayProcess) -> None:
    body = {"model": "tgi", "messages": [{"role": "user", "content": QUESTION}]}
    answer = demo.client.post("/chat_tokenize", json=body).json()
    assert QUESTION in answer["templated_text"]
    assert "".join(token["text"] for token in answer["tokenize_response"]) == answer["templated_text"]
    parts = [{"type": "text", "text": QUESTION[:9]}, {"type": "text", "text": QUESTION[9:]}]
    assert demo.client.post("/chat_tokenize", json={"messages": [{"role": "user", "content": parts}]}).json() == answer


def test_a_picture_in_a_conversation_is_refused(demo: GatewayProcess) -> None:
    picture = {"type": "image_url", "image_url": {"url": "http://127.0.0.1/picture.png"}}
    answer = demo.client.post("/chat_tokenize", json={"messages": [{"role": "user", "content": [picture]}]})
    assert answer.status_code == 422
    assert "image_url" in answer.json()["error"]
