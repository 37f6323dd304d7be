"""kill -9 of the worker in the middle of everything, and of the gateway at any time: what is lost, and who is told."""

import http.client
import os
import select
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.dialects import EVERY_WAY, Ending, Way
from tests.support.gateway_process import GatewayProcess, free_port, gateway, start_gateway
from tests.support.metrics import accepted_and_ended, metrics
from tests.support.volumes import published, strays

SLOW = {"ENGINE": "fake", "FAKE_ENGINE": "tokens_per_s=50"}
DIED = "the model's process ended while it worked on this request"
NUM_ACCEPTED = len(EVERY_WAY) + 1
"""The batch is two."""
PATIENCE_S = 60


@contextmanager
def _watched(pid: int) -> Iterator[int]:
    """A descriptor of a process, which becomes readable when it ends, whoever has its number by then."""
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _has_ended(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], PATIENCE_S)[0])


def _ask(running: GatewayProcess, way: Way, request_id: str, begun: threading.Event) -> Ending:
    """Ask for more than there is time for; `begun` is when the beginning of the answer has come."""
    connection = way.begin(running, 1900, request_id)
    response = connection.getresponse()
    first = response.read(1) if way.streams else b""
    begun.set()
    try:
        return Ending(response.status, (first + response.read()).decode(), whole=True)
    except http.client.IncompleteRead as cut:
        return Ending(response.status, (first + cut.partial).decode(), whole=False)
    finally:
        connection.close()


def test_a_worker_that_is_killed_in_the_middle_of_everything_costs_what_it_held_and_tells_everybody(
    demo_store: Path,
) -> None:
    with gateway(demo_store, **SLOW) as running, ThreadPoolExecutor(len(EVERY_WAY)) as pool:
        running.wait_until_ready()
        before = accepted_and_ended(running)[0]
        begun = {way.name: threading.Event() for way in EVERY_WAY}
        asked = {way: pool.submit(_ask, running, way, f"held-{way.name}", begun[way.name]) for way in EVERY_WAY}
        while accepted_and_ended(running)[0] < before + NUM_ACCEPTED:
            pass
        for way in EVERY_WAY:
            assert not way.streams or begun[way.name].wait(PATIENCE_S), f"{way.name} did not begin"
        killed = running.worker()
        os.kill(killed, signal.SIGKILL)
        for way, asking in asked.items():
            assert way.failed(asking.result(), 503, DIED), (way.name, asking.result())

        assert "signal 9" in running.wait_for("worker died")["how"]
        running.wait_until_ready()
        assert running.worker() != killed
        again = {way: pool.submit(way.ask, running, 5, f"again-{way.name}") for way in EVERY_WAY}
        for way, asking in again.items():
            assert (asking.result().status, asking.result().whole) == (200, True), (way.name, asking.result())
            assert not way.failed(asking.result(), 503, DIED), way.name

        accepted, ended = accepted_and_ended(running)
        assert accepted == before + 2 * NUM_ACCEPTED
        assert sum(ended.values()) == accepted
        assert ended["failed"] == NUM_ACCEPTED
        numbers = metrics(running)
        assert (numbers["preheat_requests_running"], numbers["preheat_tokens_inside"]) == (0, 0)
        assert "Traceback" not in running.log_text()


def test_a_killed_worker_is_back_and_warm_with_the_real_engine_and_answers_as_before(demo_store: Path) -> None:
    question = {"prompt": "How do I change the port?", "max_tokens": 40, "temperature": 0}
    with gateway(demo_store) as running:
        warm = running.wait_until_ready()
        before = running.client.post("/generate", json=question).json()["output"]
        endless = {"prompt": "Go on.", "stream": True, "max_tokens": 1900, "ignore_eos": True}
        with running.client.stream("POST", "/v1/completions", json=endless) as held:
            frames = held.iter_lines()
            next(frames)
            os.kill(running.worker(), signal.SIGKILL)
            assert any(DIED in frame for frame in frames)
        again = running.wait_until_ready()
        assert again["num_prompts"] == warm["num_prompts"], "ready is said only after a warm-up"
        assert running.client.post("/generate", json=question).json()["output"] == before
        assert running.client.get("/readyz").status_code == 200


def test_a_worker_that_is_killed_while_it_loads_ends_the_gateway_with_a_sentence(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE="fake", FAKE_ENGINE="load_s=600") as running:
        running.wait_for("phase", phase="loading")
        while not running.children():
            pass
        os.kill(running.worker(), signal.SIGKILL)
        assert "ended while it was loading" in running.wait_for("cannot serve")["reason"]
        assert running.exit_code() == 24


def test_a_worker_that_is_killed_while_it_loads_again_is_one_more_death_and_no_end(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE="fake", FAKE_ENGINE="load_s=2") as running:
        running.wait_until_ready()
        os.kill(running.worker(), signal.SIGKILL)
        running.wait_for("phase", phase="loading")
        while not running.children():
            pass
        os.kill(running.worker(), signal.SIGKILL)
        assert "ended while it was loading" in running.wait_for("phase", phase="recovering")["detail"]
        running.wait_until_ready()
        assert running.generate("Is anybody there?", max_tokens=2).status_code == 200


def _on_port(store: Path, port: int, **settings: str) -> GatewayProcess:
    return GatewayProcess(start_gateway(store, port, subprocess.PIPE, **settings), port)


@pytest.mark.parametrize("phase", ["verifying", "loading", "warming_up", "ready"])
def test_a_gateway_that_is_killed_takes_its_worker_along_and_the_next_one_serves(demo_store: Path, phase: str) -> None:
    before, port = published(demo_store), free_port()
    killed = _on_port(demo_store, port, ENGINE="fake", FAKE_ENGINE="load_s=1,tokens_per_s=50")
    killed.wait_for("phase", phase=phase)
    workers = [os.pidfd_open(child) for child in killed.children()]
    killed.process.kill()
    assert killed.exit_code() == -signal.SIGKILL
    for worker in workers:
        assert _has_ended(worker), "the worker outlived its gateway"
        os.close(worker)
    killed.stop()

    following = _on_port(demo_store, port, ENGINE="fake")
    try:
        following.wait_until_ready()
        assert following.generate("Are you the next?", max_tokens=2).status_code == 200
    finally:
        following.stop()
    assert following.exit_code() == 0
    assert (published(demo_store), strays(demo_store)) == (before, set())


def test_clients_of_a_gateway_that_is_killed_see_their_answers_cut_and_never_whole(demo_store: Path) -> None:
    port = free_port()
    killed = _on_port(demo_store, port)
    killed.wait_until_ready()
    body = {"prompt": "Go on.", "max_tokens": 1900, "ignore_eos": True}
    streams = Way("stream", "/v1/completions", True, lambda _: {**body, "stream": True})
    whole = Way("whole", "/v1/completions", False, lambda _: body)
    connections = [way.begin(killed, 0, way.name) for way in (streams, streams, whole)]
    begun = [connection.getresponse() for connection in connections[:2]]
    for response in begun:
        assert response.read(1)
    with _watched(killed.worker()) as worker:
        killed.process.kill()
        for response in begun:
            with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
                response.read()
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            connections[2].getresponse()
        assert _has_ended(worker)
    killed.exit_code()
    killed.stop()
    for connection in connections:
        connection.close()
