"""Loading and unloading, which a body without words asks for."""

import json
import shutil
from contextlib import closing
from pathlib import Path

import ollama
import pytest

from tests.support.dialects import Way
from tests.support.gateway_process import GatewayProcess, gateway

FAKE = {"ENGINE": "fake", "FAKE_ENGINE": "stop_at_eos=1"}
UNLOAD = Way("unload", "/api/generate", False, lambda _: {"model": "demo", "keep_alive": 0})


def test_a_model_is_loaded_on_demand_and_unloaded(demo_store: Path) -> None:
    with gateway(demo_store, **FAKE, MODEL_PRELOAD="false") as running, ollama.Client(running.url) as client:
        running.wait_for("phase", phase="on_demand")
        assert client.ps().models == []
        assert client.show("demo").modelinfo is not None
        loaded = client.generate("demo")
        assert (loaded.response, loaded.done, loaded.done_reason) == ("", True, "load")
        assert [model.name for model in client.ps().models] == ["demo:latest"]
        assert client.generate("demo", "Hello.").response
        unloaded = client.chat("demo", keep_alive=0)
        assert (unloaded.message.content, unloaded.done_reason) == ("", "unload")
        assert client.ps().models == []
        assert client.generate("demo", keep_alive="0s").done_reason == "unload", "an unloaded model can be, again"
        assert client.chat("demo", [{"role": "user", "content": "Hello."}], keep_alive="5m").message.content
        assert [model.name for model in client.ps().models] == ["demo:latest"]


def test_who_stops_waiting_for_the_memory_does_not_take_the_wish_of_others_along(demo_store: Path) -> None:
    fake = {"ENGINE": "fake", "FAKE_ENGINE": "tokens_per_s=100"}
    with gateway(demo_store, **fake, MODEL_PRELOAD="false") as running:
        running.wait_for("phase", phase="on_demand")
        with running.client.stream("POST", "/stream", json={"prompt": "Go on.", "max_tokens": 900}) as held:
            texts = held.iter_text()  # the response is closed with its iterator
            assert next(texts)
            staying, leaving = UNLOAD.begin(running, 0, "stays"), UNLOAD.begin(running, 0, "leaves")
            leaving.close()
            running.wait_for("request", id="leaves")
        with closing(staying):
            assert json.load(staying.getresponse())["done_reason"] == "unload"
        assert running.client.get("/health").json()["phase"] == "on_demand"


def test_what_loading_took_is_told(demo_store: Path) -> None:
    fake = {"ENGINE": "fake", "FAKE_ENGINE": "load_s=0.3"}
    with gateway(demo_store, **fake, MODEL_PRELOAD="false") as running, ollama.Client(running.url) as client:
        running.wait_for("phase", phase="on_demand")
        first = client.generate("demo", "Hello.", options={"num_predict": 2})
        second = client.generate("demo", "Hello.", options={"num_predict": 2})
    assert (first.load_duration or 0) > 300_000_000 > (second.load_duration or 0) > 0


def test_a_model_that_is_always_warm_is_not_unloaded(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="MODEL_PRELOAD=false") as refused:
        client.generate("demo", keep_alive=0)
    assert refused.value.status_code == 400
    assert client.chat("demo").done_reason == "load"


def test_a_gateway_that_is_still_loading_says_so(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE="fake", FAKE_ENGINE="load_s=5") as running:
        running.wait_for("phase", phase="loading")
        for path, body in (("/api/generate", {"prompt": "x"}), ("/api/chat", {"messages": []}), ("/api/chat", {})):
            answer = running.client.post(path, json={"model": "demo", **body})
            assert answer.status_code == 503
            assert set(answer.json()) == {"error"}
            assert "loading" in answer.json()["error"]
            assert int(answer.headers["retry-after"]) >= 1
        assert running.client.get("/api/version").status_code == 200
        assert running.client.get("/api/ps").json() == {"models": []}
        assert running.client.get("/api/tags").json()["models"][0]["name"] == "demo:latest"


def test_a_damaged_model_is_no_successful_pull(demo_store: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(demo_store, store)
    with gateway(store, **FAKE) as running, ollama.Client(running.url) as client:
        running.wait_until_ready()
        (config,) = store.glob("models/demo/openvino-bf16/*/config.json")
        config.write_bytes(config.read_bytes().swapcase())
        with pytest.raises(ollama.ResponseError, match=r"demo is damaged on the volume: config\.json;") as failed:
            client.pull("demo")
        assert failed.value.status_code == 500
        with pytest.raises(ollama.ResponseError, match="model_fetcher mends it"):
            list(client.pull("demo", stream=True))


def test_the_running_gateway_is_of_this_dialect(demo: GatewayProcess) -> None:
    assert demo.client.get("/api/version").json() == {"version": "0.12.6"}
