"""A model that was served, whose worker died, and that cannot be loaded again at once: it is tried until it can."""

import os
import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from model_store.layout import StoreLayout
from model_store.manifest import content_folder, read_manifest
from tests.support.gateway_process import GatewayProcess, gateway

QUESTION = "How do I change the port?"


@pytest.fixture
def network(demo_store: Path, tmp_path: Path) -> Path:
    """The file of a volume's model that says what is computed, which the engine reads at each load."""
    store = StoreLayout(Path(shutil.copytree(demo_store, tmp_path / "store")))
    path = store.manifest("demo", "openvino-bf16")
    manifest = read_manifest(path)
    assert manifest is not None
    return content_folder(path, manifest) / "openvino_model.xml"


@contextmanager
def _unreadable(path: Path) -> Iterator[None]:
    whole = path.read_bytes()
    path.write_bytes(bytes(len(whole)))
    yield
    path.write_bytes(whole)


@contextmanager
def _out_of_descriptors(pid: int) -> Iterator[None]:
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
    yield
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def _until_it_cannot_be_loaded(running: GatewayProcess, because: str) -> None:
    while because not in running.wait_for("phase", phase="recovering")["detail"]:
        pass


def test_a_model_that_the_engine_cannot_read_for_a_while_is_served_again_when_it_can(network: Path) -> None:
    store = next(folder for folder in network.parents if folder.name == "store")
    with gateway(store) as running:
        running.wait_until_ready()
        before = running.generate(QUESTION).json()["output"]
        with _unreadable(network):
            os.kill(running.worker(), signal.SIGKILL)
            _until_it_cannot_be_loaded(running, "openvino could not load")
            assert running.client.get("/readyz").status_code == 503
        running.wait_until_ready()
        assert running.generate(QUESTION).json()["output"] == before
        assert "Traceback" not in running.log_text()


def test_a_gateway_that_stops_while_it_tries_again_ends_cleanly_and_at_once(network: Path) -> None:
    store = next(folder for folder in network.parents if folder.name == "store")
    with gateway(store) as running:
        running.wait_until_ready()
        with _unreadable(network):
            os.kill(running.worker(), signal.SIGKILL)
            _until_it_cannot_be_loaded(running, "openvino could not load")
            running.terminate()
            assert running.exit_code() == 0
        assert "Traceback" not in running.log_text()


def test_a_gateway_that_can_open_nothing_for_a_while_loads_its_model_when_it_can(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE="fake") as running:
        running.wait_until_ready()
        with _out_of_descriptors(running.process.pid):
            os.kill(running.worker(), signal.SIGKILL)
            _until_it_cannot_be_loaded(running, "Too many open files")
        running.wait_until_ready()
        assert running.generate(QUESTION, max_tokens=2).status_code == 200
        assert "Traceback" not in running.log_text()


def test_where_models_load_on_demand_the_request_is_told_that_nothing_can_be_opened(demo_store: Path) -> None:
    with gateway(demo_store, ENGINE="fake", MODEL_PRELOAD="false") as running:
        running.wait_for("phase", phase="on_demand")
        assert running.client.get("/livez").status_code == 200, "its connection stays open for what follows"
        with _out_of_descriptors(running.process.pid):
            refused = running.generate(QUESTION)
            assert refused.status_code == 503
            assert "Too many open files" in refused.json()["error"]
        assert running.generate(QUESTION, max_tokens=2).status_code == 200
        assert "Traceback" not in running.log_text()
