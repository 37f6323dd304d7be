"""What the gateway says of itself from its first second to READY, and how it ends when it cannot get there."""

import shutil
import socket
import time
from pathlib import Path

import pytest

from model_store.layout import StoreLayout
from model_store.progress_note import ProgressNote, write_note
from tests.support.dialects import ALONE
from tests.support.gateway_process import gateway
from tests.support.stores import unconvertible_demo

SLOW_LOAD = {"ENGINE": "fake", "FAKE_ENGINE": "load_s=3"}


def test_the_port_answers_truthfully_while_the_model_loads(demo_store: Path) -> None:
    with gateway(demo_store, **SLOW_LOAD) as running:
        running.wait_for("phase", phase="loading")
        alive, ready, health = (running.client.get(path) for path in ("/livez", "/readyz", "/health"))
        assert alive.status_code == 200
        assert (ready.status_code, ready.text) == (503, "loading\n")
        assert 1 <= int(ready.headers["retry-after"]) <= 60
        assert health.status_code == 503
        state = health.json()
        assert (state["status"], state["phase"], state["model_loaded"]) == ("loading", "loading", False)
        assert 0 <= state["progress"] < 1
        assert state["estimated_seconds_left"] >= 0
        assert state["figures"] is None


def test_a_request_before_ready_is_told_the_phase_and_when_to_come_back(demo_store: Path) -> None:
    with gateway(demo_store, **SLOW_LOAD) as running:
        running.wait_for("phase", phase="loading")
        answer = running.generate("Too early?")
        assert answer.status_code == 503
        assert answer.json()["phase"] == "loading"
        assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_ready_comes_after_a_warm_up_and_brings_its_figures(demo_store: Path) -> None:
    with gateway(demo_store) as running:
        running.wait_until_ready()
        phases = [line["phase"] for line in running.log if line["event"] == "phase"]
        assert phases == ["verifying", "loading", "warming_up", "ready"]
        state = running.client.get("/health").json()
        assert (state["status"], state["model"], state["model_loaded"]) == ("healthy", "demo", True)
        assert state["device"] == "cpu"
        assert state["profile"] == "cpu_optimized"
        assert state["figures"]["first_token_ms"] > 0
        assert state["figures"]["tokens_per_s"] > 0
        assert state["figures"]["num_threads"] >= 1
        assert running.client.get("/readyz").status_code == 200


def test_a_missing_model_is_waited_for_with_the_command_that_fetches_it(demo_store: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    with gateway(store, ENGINE="fake") as running:
        running.wait_for("waiting_for_weights")
        state = running.client.get("/health").json()
        assert state["phase"] == "waiting_for_weights"
        assert "docker compose run --rm model_fetcher" in state["detail"]
        assert running.generate("Anything?").status_code == 503
        shutil.copytree(demo_store / "models", store / "models")
        running.wait_until_ready()


def test_a_fetcher_at_work_is_shown_with_its_progress(tmp_path: Path) -> None:
    note = ProgressNote(
        step="fetch", detail="model.safetensors", done_bytes=25, total_bytes=100, updated_at=time.time()
    )
    write_note(StoreLayout(tmp_path).fetch_progress, note)
    with gateway(tmp_path) as running:
        running.wait_for("waiting_for_weights")
        state = running.client.get("/health").json()
        assert "fetch" in state["detail"]
        assert state["progress"] == 0.25


def test_damaged_weights_are_named_and_not_loaded(demo_store: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(demo_store, store)
    (weights,) = store.glob("models/demo/openvino-bf16/*/openvino_model.bin")
    weights.write_bytes(weights.read_bytes()[:-1])
    with gateway(store) as running:
        line = running.wait_for("phase", phase="waiting_for_weights")
        assert "openvino_model.bin" in line["detail"]
        assert running.client.get("/readyz").status_code == 503


def test_a_model_that_cannot_be_loaded_ends_the_gateway_with_one_sentence(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE="fake", FAKE_ENGINE="fail_load=1") as running:
        line = running.wait_for("cannot serve")
        assert "fail_load" in line["reason"]
        assert running.exit_code() == 24
        assert "Traceback" not in running.log_text()


def test_a_plan_that_does_not_fit_is_refused_with_both_numbers(demo_store: Path) -> None:
    with gateway(demo_store, KV_CACHE_SIZE="9000GiB") as running:
        line = running.wait_for("cannot serve")
        assert "needs 9000." in line["reason"]
        assert "limit" in line["reason"]
        assert "KV_CACHE_SIZE=auto needs" in line["reason"]
        assert running.exit_code() == 17


def test_without_preload_the_first_request_loads_the_model_and_health_says_so(demo_store: Path) -> None:
    with gateway(demo_store, MODEL_PRELOAD="false") as running:
        running.wait_for("phase", phase="on_demand")
        state = running.client.get("/health")
        assert state.status_code == 200
        assert (state.json()["status"], state.json()["model_loaded"]) == ("healthy", False)
        assert running.generate("How do I change the port?").status_code == 200
        assert running.client.get("/health").json()["model_loaded"] is True


def test_without_preload_the_port_counts_as_ready_while_requests_wait_for_the_model(demo_store: Path) -> None:
    with gateway(demo_store, MODEL_PRELOAD="false", ENGINE="fake", FAKE_ENGINE="load_s=600") as running:
        running.wait_for("phase", phase="on_demand")
        waiting = ALONE[0].begin(running, 2, "waits")
        running.wait_for("phase", phase="loading")
        ready, health, root = (running.client.get(path) for path in ("/readyz", "/health", "/"))
        assert (ready.status_code, ready.text) == (200, "loading\n")
        state = health.json()
        assert (health.status_code, state["status"], state["phase"]) == (200, "loading", "loading")
        assert (root.status_code, state["model_loaded"]) == (200, False)
        waiting.close()


def test_without_preload_a_failed_load_is_told_and_tried_again_at_the_next_request(demo_store: Path) -> None:
    with gateway(demo_store, MODEL_PRELOAD="false", ENGINE="fake", FAKE_ENGINE="fail_load=1") as running:
        running.wait_for("phase", phase="on_demand")
        for _ in range(2):
            answer = running.generate("Will it load?")
            assert answer.status_code == 503
            assert "fail_load" in answer.json()["error"]
        assert running.client.get("/health").json()["status"] == "failed"


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("GATEWAY_PORT", "eighty", "GATEWAY_PORT is 'eighty'"),
        ("MAX_NUM_SEQS", "0", "MAX_NUM_SEQS is '0'"),
        ("PERFORMANCE_PROFILE", "fastest", "PERFORMANCE_PROFILE is 'fastest'"),
        ("KV_CACHE_SIZE", "lots", "KV_CACHE_SIZE is 'lots'"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(tmp_path: Path, setting: str, value: str, sentence: str) -> None:
    with gateway(tmp_path, **{setting: value}) as running:
        assert running.exit_code() == 2
        (line,) = running.log
        assert sentence in line["text"]


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with gateway(tmp_path, GATEWAY_PORT=port) as running:
            assert running.exit_code() == 2
            (line,) = running.log
            assert port in line["text"]
            assert "GATEWAY_PORT" in line["text"]


def test_an_empty_variable_leaves_the_profiles_value(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE="fake", QUANTIZATION="", MAX_NUM_SEQS="") as running:
        running.wait_until_ready()
        assert running.client.get("/health").json()["quantization"] == "none"


def test_a_warm_up_file_is_run_before_ready(demo_store: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "warmup.jsonl"
    prompts.write_text(
        '{"prompt": "How do I change the port?", "max_tokens": 4}\n\n'
        '{"messages": [{"role": "user", "content": "Which profiles are there?"}]}\n'
    )
    with gateway(demo_store, WARMUP_FILE=str(prompts)) as running:
        assert running.wait_until_ready()["num_prompts"] == 6


def test_a_broken_warm_up_file_is_named_with_its_line(demo_store: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "warmup.jsonl"
    prompts.write_text('{"prompt": "fine"}\n{"promt": "not"}\n')
    with gateway(demo_store, ENGINE="fake", WARMUP_FILE=str(prompts)) as running:
        assert f"{prompts} line 2" in running.wait_for("cannot serve")["reason"]
        assert running.exit_code() == 24


def test_weights_that_are_mended_are_loaded_without_a_restart(demo_store: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(demo_store, store)
    (weights,) = store.glob("models/demo/openvino-bf16/*/openvino_model.bin")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    with gateway(store, ENGINE="fake") as running:
        running.wait_for("phase", phase="waiting_for_weights")
        weights.write_bytes(whole)
        running.wait_until_ready()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"PERFORMANCE_PROFILE": "gpu_accelerated"}, "no GPU can be used: nvidia-smi"),
        ({"ENGINE": "vllm"}, "vllm is needed to serve this, and not installed here"),
    ],
)
def test_an_engine_that_cannot_be_used_ends_the_gateway_with_what_was_looked_for(
    demo_store: Path, settings: dict[str, str], sentence: str
) -> None:
    with gateway(demo_store, **settings) as running:
        assert running.exit_code() == 25
        assert any(sentence in str(line.get("reason")) for line in running.log)


def test_health_names_the_engine_and_why_it_was_chosen(demo_store: Path) -> None:
    with gateway(demo_store, PERFORMANCE_PROFILE="vm_optimized") as running:
        assert running.wait_for("engine", engine="openvino", device="cpu")
        running.wait_until_ready()
        state = running.client.get("/health").json()
        assert (state["engine"], state["device"]) == ("openvino", "cpu")
        assert "PERFORMANCE_PROFILE=vm_optimized" in state["engine_reason"]


def test_weights_that_only_transformers_can_load_are_told_the_image_that_has_it(tmp_path: Path) -> None:
    with gateway(unconvertible_demo(tmp_path)) as running:
        assert running.exit_code() == 25
        assert any("compose.transformers.yaml" in str(line.get("reason")) for line in running.log)
