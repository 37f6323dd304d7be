"""However a request ends, it ends once: clients leave, workers die, gateways stop, rooms are full."""

import concurrent.futures
import fcntl
import http.client
import json
import os
import random
import signal
import socket
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.support.dialects import BATCH, EVERY_WAY, Way
from tests.support.gateway_process import GatewayProcess, free_port, gateway, start_gateway
from tests.support.metrics import accepted_and_ended, metrics, until_running

SLOW = {"ENGINE": "fake", "FAKE_ENGINE": "tokens_per_s=50"}
ENDLESS = {"prompt": "Go on.", "max_tokens": 900}


def _running(gateway_process: GatewayProcess) -> int:
    """How many requests hold a place, as the metrics say."""
    text = gateway_process.client.get("/metrics").text
    line = next(line for line in text.splitlines() if line.startswith("preheat_requests_running "))
    return int(float(line.split()[1]))


def _send(running: GatewayProcess, path: str) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", running.port)
    connection.request(
        "POST", path, json.dumps(ENDLESS), {"content-type": "application/json", "x-request-id": "leaver"}
    )
    return connection


@pytest.mark.parametrize("path", ["/generate", "/stream", "/infer"])
def test_a_client_that_leaves_stops_its_generation(demo_store: Path, path: str) -> None:
    with gateway(demo_store, **SLOW, MAX_CONCURRENT_REQUESTS="1") as running:
        running.wait_until_ready()
        connection = _send(running, path)
        if path == "/stream":
            assert connection.getresponse().read(1)
        else:
            _until_one_is_running(running)
        connection.close()
        line = running.wait_for("request", id="leaver")
        assert line["outcome"] == "cancelled"
        assert line.get("completion_tokens", 0) < 900
        assert running.generate("The place is free again.", max_tokens=1).status_code == 200


def test_a_client_that_leaves_in_the_middle_of_its_request_is_no_request(demo_store: Path) -> None:
    with gateway(demo_store, **SLOW) as running:
        running.wait_until_ready()
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            head = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: half\r\nContent-Length: 100\r\n"
            connection.sendall(head + b'Content-Type: application/json\r\n\r\n{"prompt": "half')
        line = running.wait_for("request", id="half")
        assert line["outcome"] == "cancelled"
        assert "prompt_tokens" not in line
        assert "Traceback" not in running.log_text()


def _until_one_is_running(running: GatewayProcess) -> None:
    while not _running(running):
        pass


def test_a_full_room_is_a_429_with_retry_after(demo_store: Path) -> None:
    with gateway(demo_store, **SLOW, MAX_CONCURRENT_REQUESTS="1") as running:
        running.wait_until_ready()
        with running.client.stream("POST", "/stream", json=ENDLESS) as first:
            pieces = first.iter_text()
            next(pieces)
            refused = running.generate("Is there room?")
            assert refused.status_code == 429
            assert 1 <= int(refused.headers["retry-after"]) <= 60
            assert "MAX_CONCURRENT_REQUESTS" in refused.json()["error"]


def test_health_answers_while_the_engine_is_in_a_long_step(demo_store: Path) -> None:
    with (
        gateway(demo_store, ENGINE="fake", FAKE_ENGINE="tokens_per_s=0.2", MODEL_PRELOAD="false") as running,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        running.wait_for("phase", phase="on_demand")
        waiting = pool.submit(running.generate, "One step takes five seconds.")
        running.wait_for("phase", phase="warming_up")
        assert running.client.get("/livez").status_code == 200
        assert running.client.get("/health").json()["phase"] == "warming_up"
        assert not waiting.done()
        os.kill(running.process.pid, signal.SIGTERM)
        os.kill(running.process.pid, signal.SIGTERM)
        assert waiting.result().status_code == 503


def test_a_worker_that_dies_fails_its_requests_and_is_back(demo_store: Path) -> None:
    with gateway(demo_store, **SLOW) as running:
        running.wait_until_ready()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            held = pool.submit(running.client.post, "/generate", json=ENDLESS)
            _until_one_is_running(running)
            worker = running.worker()
            os.kill(worker, signal.SIGKILL)
            answer = held.result()
        assert answer.status_code == 503
        assert answer.json()["kind"] == "worker_died"
        assert "signal 9" in running.wait_for("worker died")["how"]
        running.wait_until_ready()
        assert running.generate("Are you back?", max_tokens=2).status_code == 200


def test_several_sequences_whose_worker_dies_are_one_error_and_no_traceback(demo_store: Path) -> None:
    with gateway(demo_store, **SLOW) as running:
        running.wait_until_ready()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            held = pool.submit(running.client.post, "/generate", json={**ENDLESS, "num_sequences": 3})
            _until_one_is_running(running)
            worker = running.worker()
            os.kill(worker, signal.SIGKILL)
            assert held.result().status_code == 503
        running.wait_until_ready()
        assert "Traceback" not in running.log_text()


def test_a_stream_whose_worker_dies_is_cut_so_that_the_client_notices(demo_store: Path) -> None:
    with gateway(demo_store, **SLOW) as running:
        running.wait_until_ready()
        connection = _send(running, "/stream")
        response = connection.getresponse()
        assert response.read(1)
        worker = running.worker()
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(http.client.IncompleteRead):
            response.read()
        connection.close()
        line = running.wait_for("request", id="leaver")
        assert line["outcome"] == "failed"
        assert "something went wrong inside" not in line["error"]
        assert "Traceback" not in running.log_text()


def test_a_worker_that_dies_again_and_again_ends_the_gateway_with_a_sentence(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE="fake", FAKE_ENGINE="die_after_steps=3") as running:
        assert "warm-up" in running.wait_for("cannot serve")["reason"]
        assert running.exit_code() == 24


def test_sigterm_lets_running_answers_finish_and_turns_new_ones_away(demo_store: Path) -> None:
    with gateway(demo_store, **SLOW) as running:
        running.wait_until_ready()
        with running.client.stream("POST", "/stream", json={"prompt": "Go on.", "max_tokens": 100}) as answer:
            pieces = answer.iter_text()
            next(pieces)
            running.terminate()
            running.wait_for("phase", phase="draining")
            assert running.client.get("/health").json()["status"] == "draining"
            refused = running.generate("May I still come in?")
            assert (refused.status_code, refused.json()["phase"]) == (503, "draining")
            assert "".join(pieces)
        assert running.exit_code() == 0
        (finished,) = [line for line in running.log if line.get("path") == "/stream"]
        assert (finished["outcome"], finished["completion_tokens"]) == ("finished", 100)


def test_what_does_not_finish_in_the_drain_time_is_told_so_and_the_exit_code_is_still_0(demo_store: Path) -> None:
    with gateway(demo_store, **SLOW, DRAIN_TIMEOUT_S="0.2") as running:
        running.wait_until_ready()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            held = pool.submit(running.client.post, "/generate", json=ENDLESS)
            _until_one_is_running(running)
            running.terminate()
            answer = held.result()
        assert answer.status_code == 503
        assert "stopping" in answer.json()["error"]
        assert running.exit_code() == 0


def test_ctrl_c_is_as_clean_as_sigterm(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE="fake") as running:
        running.wait_until_ready()
        running.process.send_signal(signal.SIGINT)
        assert running.exit_code() == 0
        assert "Traceback" not in running.log_text()


def test_no_worker_outlives_a_gateway_that_was_killed(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE="fake") as running:
        running.wait_until_ready()
        worker = running.worker()
        ended = os.pidfd_open(worker)
        running.process.kill()
        running.exit_code()
        assert _wait_for_end(ended)


def _wait_for_end(process: int) -> bool:
    import select

    readable, _, _ = select.select([process], [], [], 30)
    os.close(process)
    return bool(readable)


def test_a_gateway_outlives_the_reader_of_its_log_and_still_stops_cleanly(demo_store: Path) -> None:
    port, (reader, writer) = free_port(), os.pipe()
    process = start_gateway(demo_store, port, writer, ENGINE="fake")
    os.close(writer)
    with os.fdopen(reader) as log:
        assert any('"event": "ready"' in line for line in log)
    answer = httpx.post(f"http://127.0.0.1:{port}/generate", json={"prompt": "Is anybody there?", "max_tokens": 2})
    assert answer.status_code == 200
    process.terminate()
    assert process.wait(60) == 0


def test_a_log_that_nobody_reads_keeps_nobody_waiting_and_no_line_is_lost(demo_store: Path) -> None:
    port, (reader, writer) = free_port(), os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    process = start_gateway(demo_store, port, writer, ENGINE="fake")
    os.close(writer)
    with os.fdopen(reader) as log, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert any('"event": "ready"' in line for line in log)
        ids = [f"unread-{number}" for number in range(100)]  # about five times what the pipe holds
        for request_id in ids:
            body = {"prompt": "Is anybody there?", "max_tokens": 2}
            assert client.post("/generate", json=body, headers={"X-Request-ID": request_id}).status_code == 200
        assert client.get("/health").status_code == 200
        process.terminate()
        told = [json.loads(line).get("id") for line in log]
    assert [request_id for request_id in told if request_id] == ids
    assert process.wait(60) == 0


def test_of_hundreds_of_mixed_requests_each_ends_exactly_once(demo_store: Path) -> None:
    settings = {"ENGINE": "fake", "FAKE_ENGINE": "tokens_per_s=1000", "MAX_CONCURRENT_REQUESTS": "10"}
    with (
        gateway(demo_store, **settings, MAX_CONCURRENT_TOKENS="600") as running,
        concurrent.futures.ThreadPoolExecutor(20) as pool,
    ):
        running.wait_until_ready()
        draw = random.Random(6)
        asked = [
            pool.submit(_one_of_many, running, draw.choice(EVERY_WAY), draw.choice(_FATES), f"many-{index}")
            for index in range(400)
        ]
        for asking in asked:
            asking.result()
        until_running(running, 0)
        accepted, ended = accepted_and_ended(running)
        assert metrics(running)["preheat_tokens_inside"] == 0
        running.terminate()
        assert running.exit_code() == 0
        assert sum(ended.values()) == accepted
        assert min(ended["finished"], ended["cancelled"], ended["refused"]) > 0
        lines = Counter(line["id"] for line in running.log if str(line.get("id", "")).startswith("many-"))
        assert lines == {f"many-{index}": 1 for index in range(400)}
        outcomes = {line["outcome"] for line in running.log if str(line.get("id", "")).startswith("many-")}
        assert outcomes == {"finished", "cancelled", "refused"}
        assert "request ended twice" not in running.log_text()
        assert "Traceback" not in running.log_text()


_FATES = ("stays", "stays", "leaves at once", "leaves in the middle", "cannot be", "is much")


def _one_of_many(running: GatewayProcess, way: Way, fate: str, request_id: str) -> None:
    if fate == "stays":
        assert way.ask(running, 40, request_id).status in {200, way.busy}
    elif fate == "cannot be":
        # More than the context holds; a batch is answered all the same, with an error for each of its items.
        ending = way.ask(running, 1, request_id, prompt="warm " * 3000)
        assert ending.status in ({200} if way is BATCH else {400, 422, way.busy})
    elif fate == "is much":
        assert way.ask(running, 500, request_id).status in {200, way.busy}
    else:
        connection = way.begin(running, 400, request_id)
        if fate == "leaves in the middle":
            connection.getresponse().read(1)
        connection.close()


def test_sigterm_under_load_gives_everybody_an_ending(demo_store: Path) -> None:
    with (
        gateway(demo_store, **SLOW, DRAIN_TIMEOUT_S="1.5") as running,
        concurrent.futures.ThreadPoolExecutor(2 * len(EVERY_WAY)) as pool,
    ):
        running.wait_until_ready()
        short = [pool.submit(way.ask, running, 20, f"load-short-{way.name}") for way in EVERY_WAY]
        endless = [pool.submit(way.ask, running, 1900, f"load-endless-{way.name}") for way in EVERY_WAY]
        while accepted_and_ended(running)[0] < 2 * len(EVERY_WAY) + 2:  # each of the two batches is two requests
            pass
        running.terminate()
        running.wait_for("phase", phase="draining")
        refused = running.generate("May I still come in?")
        assert (refused.status_code, refused.json()["phase"]) == (503, "draining")
        for way, asking in zip(EVERY_WAY, short, strict=True):
            ending = asking.result()
            assert (ending.status, ending.whole) == (200, True), way.name
            assert not way.failed(ending, 503, "stopping"), way.name
        for way, asking in zip(EVERY_WAY, endless, strict=True):
            assert way.failed(asking.result(), 503, "stopping"), (way.name, asking.result())
        assert running.exit_code() == 0
        lines = Counter(line["id"] for line in running.log if str(line.get("id", "")).startswith("load-"))
        assert sorted(lines.values()) == [1] * 2 * len(EVERY_WAY)
        assert "Traceback" not in running.log_text()
