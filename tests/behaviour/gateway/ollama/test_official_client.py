"""Everything that the official client can ask, asked with it."""

import json
import re
from datetime import datetime

import ollama
import pytest

from tests.support.gateway_process import GatewayProcess

QUESTION = "How do I change the port?"
TURN = {"role": "user", "content": QUESTION}
GREEDY = {"temperature": 0}


def test_a_prompt_is_answered_as_by_the_native_api(client: ollama.Client, demo: GatewayProcess) -> None:
    answer = client.generate("demo", QUESTION, options=GREEDY)
    assert answer.response == demo.generate(QUESTION).json()["output"]
    assert (answer.model, answer.done, answer.done_reason) == ("demo", True, "stop")
    assert answer.thinking is None
    assert answer.context is None


def test_durations_are_nanoseconds_that_fit_into_the_whole(client: ollama.Client, demo: GatewayProcess) -> None:
    answer = client.generate("demo", QUESTION, options=GREEDY)
    parts = [answer.load_duration, answer.prompt_eval_duration, answer.eval_duration]
    assert all(isinstance(part, int) and part > 0 for part in parts)
    assert answer.total_duration is not None
    assert max(part or 0 for part in parts) < answer.total_duration < 60 * 10**9
    usage = demo.generate(QUESTION).json()["usage"]
    assert answer.prompt_eval_count == usage["prompt_tokens"]
    assert answer.eval_count == usage["completion_tokens"]


def test_a_conversation_is_answered(client: ollama.Client, demo: GatewayProcess) -> None:
    answer = client.chat("demo:latest", [TURN], options=GREEDY)
    assert answer.message.role == "assistant"
    assert answer.message.content == demo.generate(QUESTION).json()["output"]
    assert answer.message.tool_calls is None
    assert answer.model == "demo:latest"


def test_streams_are_the_same_text_in_pieces(client: ollama.Client) -> None:
    whole = client.generate("demo", QUESTION, options=GREEDY).response
    *pieces, last = client.generate("demo", QUESTION, options=GREEDY, stream=True)
    assert "".join(piece.response or "" for piece in pieces) == whole
    assert pieces
    assert all(piece.done is False and piece.done_reason is None and piece.eval_count is None for piece in pieces)
    assert (last.response, last.done, last.done_reason) == ("", True, "stop")
    assert last.eval_count == client.generate("demo", QUESTION, options=GREEDY).eval_count


def test_a_conversation_streams(client: ollama.Client) -> None:
    *pieces, last = client.chat("demo", [TURN], options=GREEDY, stream=True)
    text = "".join(piece.message.content or "" for piece in pieces)
    assert text == client.chat("demo", [TURN], options=GREEDY).message.content
    assert (last.message.role, last.message.content, last.done) == ("assistant", "", True)


async def test_the_asynchronous_client_is_answered(demo: GatewayProcess) -> None:
    async with ollama.AsyncClient(demo.url) as client:
        whole = (await client.generate("demo", QUESTION, options=GREEDY)).response
        chat = await client.chat("demo", [TURN], options=GREEDY)
        stream = await client.chat("demo", [TURN], options=GREEDY, stream=True)
        pieces = [piece.message.content or "" async for piece in stream]
    assert chat.message.content == "".join(pieces) == whole != ""


def test_a_schema_is_kept(client: ollama.Client) -> None:
    schema = {
        "type": "object",
        "properties": {"port": {"type": "integer"}, "open": {"type": "boolean"}},
        "required": ["port", "open"],
    }
    answer = client.chat("demo", [TURN], format=schema, options=GREEDY)
    kept = json.loads(answer.message.content or "")
    assert {key: type(value) for key, value in kept.items()} == {"port": int, "open": bool}


def test_logprobs_are_listed_for_each_token(client: ollama.Client) -> None:
    answer = client.generate("demo", QUESTION, options=GREEDY, logprobs=True, top_logprobs=1)
    assert answer.logprobs is not None
    assert "".join(entry.token for entry in answer.logprobs) == answer.response
    for entry in answer.logprobs:
        assert entry.logprob <= 0
        assert entry.top_logprobs is not None
        assert [(top.token, top.logprob) for top in entry.top_logprobs] == [(entry.token, entry.logprob)]
    streamed = client.chat("demo", [TURN], options=GREEDY, logprobs=True, stream=True)
    assert [entry.token for piece in streamed for entry in piece.logprobs or ()] == [
        entry.token for entry in answer.logprobs
    ]


def test_models_are_listed(client: ollama.Client) -> None:
    (model,) = client.list().models
    assert model.model == "demo:latest"
    assert isinstance(model.modified_at, datetime)
    assert re.fullmatch("[0-9a-f]{64}", model.digest or "")
    assert (model.size or 0) > 1_000_000
    assert model.details is not None
    assert (model.details.family, model.details.parameter_size) == ("llama", "3.5M")
    assert model.details.quantization_level == "BF16", "the served one of the two variants"


def test_a_model_is_shown(client: ollama.Client) -> None:
    shown = client.show("demo")
    assert shown.capabilities == ["completion"]
    assert shown.modelinfo is not None
    assert shown.modelinfo["general.architecture"] == "llama"
    assert shown.modelinfo["llama.context_length"] == 2048
    assert "<|im_start|>" in (shown.template or "")
    assert shown.license == "apache-2.0"


def test_the_loaded_model_is_told_of(client: ollama.Client) -> None:
    (running,) = client.ps().models
    assert (running.name, running.model, running.context_length) == ("demo:latest", "demo:latest", 2048)
    assert (running.size or 0) > 10_000_000
    assert running.size_vram == 0
    assert running.expires_at is not None
    assert running.expires_at.year > 2300
    assert running.digest == client.list().models[0].digest


def test_a_model_on_the_volume_is_pulled_by_checking_it(client: ollama.Client) -> None:
    assert client.pull("demo").status == "success"
    lines = list(client.pull("demo", stream=True))
    assert lines[0].status == "pulling manifest"
    assert [line.status for line in lines[-2:]] == ["verifying sha256 digest", "success"]
    files = lines[1:-2]
    assert sum(line.total or 0 for line in files) == client.list().models[0].size
    assert all(line.completed == line.total for line in files)
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", line.digest or "") for line in files)
    assert all(line.status == f"pulling {(line.digest or '')[7:19]}" for line in files)


@pytest.mark.parametrize("stream", [False, True])
def test_another_model_is_fetched_by_the_command_that_the_error_names(client: ollama.Client, stream: bool) -> None:
    with pytest.raises(ollama.ResponseError) as refused:
        list(client.pull("Qwen/Qwen3-0.6B", stream=True) if stream else client.pull("Qwen/Qwen3-0.6B"))
    assert refused.value.status_code == 404
    assert "MODEL_NAME=Qwen/Qwen3-0.6B docker compose run --rm model_fetcher" in refused.value.error


def test_embeddings_are_refused_in_ollamas_words(client: ollama.Client) -> None:
    for ask in (lambda: client.embed("demo", "A sentence."), lambda: client.embeddings("demo", "A sentence.")):
        with pytest.raises(ollama.ResponseError) as refused:
            ask()
        assert (refused.value.status_code, refused.value.error) == (501, "this model does not support embeddings")


def test_an_unknown_model_is_not_found(client: ollama.Client) -> None:
    asks = (
        lambda: client.generate("llama3", "x"),
        lambda: client.chat("llama3", [TURN]),
        lambda: client.show("llama3"),
        lambda: client.embed("llama3", "x"),
        lambda: list(client.generate("llama3", "x", stream=True)),
    )
    for ask in asks:
        with pytest.raises(ollama.ResponseError, match=r"^model 'llama3' not found") as refused:
            ask()
        assert refused.value.status_code == 404


def test_what_would_write_the_volume_says_what_to_do_instead(client: ollama.Client) -> None:
    asks = (
        lambda: client.create("mine", from_="demo"),
        lambda: client.copy("demo", "other"),
        lambda: client.delete("demo"),
        lambda: client.push("demo"),
        lambda: client.create_blob(__file__),
    )
    for ask in asks:
        with pytest.raises(ollama.ResponseError, match="this gateway") as refused:
            ask()
        assert refused.value.status_code == 501


def test_a_conversation_that_fills_the_context_is_a_bad_request(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="shorten the prompt") as refused:
        client.chat("demo", [{"role": "user", "content": "warm " * 3000}])
    assert refused.value.status_code == 400
