"""An engine that lives and computes nothing is noticed, its process is replaced, and its requests are told."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.dialects import EVERY_WAY
from tests.support.gateway_process import GatewayProcess, gateway
from tests.support.metrics import accepted_and_ended, metrics, until_running

STALLS = {"ENGINE": "fake", "FAKE_ENGINE": "stall_after_steps=60,tokens_per_s=100", "ENGINE_STALL_S": "1"}
"""The warm-up takes 44 of the steps."""


def _phases(running: GatewayProcess) -> list[str]:
    return [line["phase"] for line in running.log if line.get("event") == "phase"]


def test_requests_of_a_stuck_engine_get_an_error_in_every_dialect_and_the_next_one_an_answer(demo_store: Path) -> None:
    with gateway(demo_store, **STALLS) as running, ThreadPoolExecutor(len(EVERY_WAY)) as pool:
        running.wait_until_ready()
        asked = [pool.submit(way.ask, running, 900, f"held-{way.name}") for way in EVERY_WAY]
        for way, asking in zip(EVERY_WAY, asked, strict=True):
            ending = asking.result()
            assert way.failed(ending, 503, "ENGINE_STALL_S"), (way.name, ending)
        running.wait_for("engine stuck")
        running.wait_until_ready()
        assert _phases(running)[-4:] == ["failed", "loading", "warming_up", "ready"]
        assert running.generate("Are you back?", max_tokens=2).status_code == 200
        accepted, ended = accepted_and_ended(running)
        assert sum(ended.values()) == accepted
        assert metrics(running)["preheat_tokens_inside"] == 0
        assert "Traceback" not in running.log_text()


def test_health_says_failed_while_a_stuck_engine_is_replaced(demo_store: Path) -> None:
    # The third one in a row is replaced after a pause of three seconds, in which there is time to ask.
    with gateway(demo_store, **STALLS) as running:
        for _ in range(3):
            running.wait_until_ready()
            assert running.generate("Go on.", max_tokens=900).status_code == 503
            running.wait_for("phase", phase="failed")
        health = running.client.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "failed")
        assert "ENGINE_STALL_S" in health.json()["detail"]
        refused = running.generate("Not now?")
        assert (refused.status_code, refused.json()["phase"]) == (503, "failed")
        running.wait_until_ready()


def test_a_stuck_engine_that_is_loaded_on_demand_is_loaded_by_the_next_request(demo_store: Path) -> None:
    with gateway(demo_store, **STALLS, MODEL_PRELOAD="false") as running:
        running.wait_for("phase", phase="on_demand")
        assert running.generate("Go on.", max_tokens=900).status_code == 503
        running.wait_for("phase", phase="failed")
        assert running.generate("Are you back?", max_tokens=2).status_code == 200


def test_an_engine_that_is_stuck_in_its_warm_up_ends_the_gateway_with_a_sentence(demo_store: Path) -> None:
    settings = {"ENGINE": "fake", "FAKE_ENGINE": "stall_after_steps=3", "ENGINE_STALL_S": "1"}
    with gateway(demo_store, **settings) as running:
        assert "ENGINE_STALL_S" in running.wait_for("cannot serve")["reason"]
        assert running.exit_code() == 24


def test_a_real_worker_that_is_halted_is_replaced(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE_STALL_S="5") as running, ThreadPoolExecutor(1) as pool:
        running.wait_until_ready()
        worker = running.worker()
        os.kill(worker, signal.SIGSTOP)
        held = pool.submit(running.generate, "Is anybody there?")
        running.wait_for("engine stuck")
        answer = held.result()
        assert answer.status_code == 503
        assert "ENGINE_STALL_S" in answer.json()["error"]
        running.wait_until_ready()
        assert running.generate("How do I change the port?").json()["output"]
        assert running.worker() != worker


def test_a_worker_that_dies_while_the_gateway_stops_is_still_a_clean_end(demo_store: Path) -> None:
    settings = {"ENGINE": "fake", "FAKE_ENGINE": "tokens_per_s=50"}
    with gateway(demo_store, **settings) as running, ThreadPoolExecutor(1) as pool:
        running.wait_until_ready()
        held = pool.submit(running.generate, "Go on.", max_tokens=900)
        until_running(running, 1)
        running.terminate()
        running.wait_for("phase", phase="draining")
        worker = running.worker()
        os.kill(worker, signal.SIGKILL)
        assert held.result().status_code == 503
        assert running.exit_code() == 0
        assert "Traceback" not in running.log_text()


def test_an_engine_that_is_stuck_while_the_gateway_stops_holds_nobody(demo_store: Path) -> None:
    with gateway(demo_store, **STALLS, DRAIN_TIMEOUT_S="60") as running, ThreadPoolExecutor(1) as pool:
        running.wait_until_ready()
        held = pool.submit(running.generate, "Go on.", max_tokens=900)
        until_running(running, 1)
        running.terminate()
        answer = held.result()
        assert (answer.status_code, "ENGINE_STALL_S" in answer.text) == (503, True)
        assert running.exit_code() == 0


def test_a_long_rest_is_no_stall(demo_store: Path) -> None:
    settings = {"ENGINE": "fake", "FAKE_ENGINE": "tokens_per_s=100", "ENGINE_STALL_S": "1"}
    with gateway(demo_store, **settings) as running:
        running.wait_until_ready()
        # Both the answers and the rests between them are longer than a stall.
        for _ in range(2):
            assert running.generate("A step each 10 ms.", max_tokens=150).status_code == 200
            rested_until = _uptime_s(running) + 1.5
            while _uptime_s(running) < rested_until:
                pass
        assert _phases(running) == ["verifying", "loading", "warming_up", "ready"]


def _uptime_s(running: GatewayProcess) -> float:
    return float(running.client.get("/health").json()["uptime_s"])
