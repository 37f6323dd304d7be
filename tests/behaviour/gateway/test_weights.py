"""What befalls the volume while a gateway runs: published again, removed, damaged; and stopping amid a check."""

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import httpx
import msgspec
import pytest

from model_store.layout import StoreLayout
from model_store.manifest import Manifest, content_folder, describe_files, read_manifest, write_manifest
from tests.support.gateway_process import GatewayProcess, gateway

VARIANT = "openvino-bf16"
FAKE = {"ENGINE": "fake", "MODEL_PRELOAD": "false"}
HUGE_BYTES = 1 << 38
"""As a file with nothing in it, which takes no room; hashing it takes minutes."""


@pytest.fixture
def store(demo_store: Path, tmp_path: Path) -> Path:
    """A volume to change."""
    return Path(shutil.copytree(demo_store, tmp_path / "store"))


def _published(store: Path) -> tuple[Path, Manifest]:
    path = StoreLayout(store).manifest("demo", VARIANT)
    manifest = read_manifest(path)
    assert manifest is not None
    return path, manifest


def _publish(store: Path, demo_store: Path, edition: str) -> Path:
    """Publish the model again as a fetcher does, in a new folder in place of the old one; returns the new folder.

    The chat template tells the edition, which is what the fake engine answers then.
    """
    path, manifest = _published(store)
    new = path.parent / edition
    shutil.copytree(content_folder(*_published(demo_store)), new)
    (new / "chat_template.jinja").write_text(f"the {edition} edition, ", encoding="utf-8")
    write_manifest(path, msgspec.structs.replace(manifest, content=new.name, files=describe_files(new)))
    shutil.rmtree(content_folder(path, manifest))
    return new


def _ask(running: GatewayProcess) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": "Which edition?"}], "max_tokens": 40}
    return running.client.post("/v1/chat/completions", json=body)


def _tells(answer: httpx.Response, edition: str) -> bool:
    assert answer.status_code == 200, answer.text
    return f"the {edition} edition" in answer.json()["choices"][0]["message"]["content"]


def _unload(running: GatewayProcess) -> None:
    answer = running.client.post("/api/generate", json={"model": "demo", "keep_alive": 0})
    assert answer.json()["done_reason"] == "unload"


def _phases(running: GatewayProcess) -> list[str]:
    return [line["phase"] for line in running.log if line["event"] == "phase"]


def test_what_is_published_while_nothing_is_loaded_is_checked_and_served(store: Path, demo_store: Path) -> None:
    with gateway(store, **FAKE) as running:
        running.wait_for("phase", phase="on_demand")
        assert not _tells(_ask(running), "second")
        running.wait_until_ready()
        _unload(running)
        _publish(store, demo_store, "second")
        assert _tells(_ask(running), "second")
        running.wait_until_ready()
        again = ["loading", "verifying", "on_demand", "loading", "warming_up", "ready"]
        assert _phases(running)[-len(again) :] == again
        _unload(running)
        assert _tells(_ask(running), "second")
        running.wait_until_ready()
        assert _phases(running).count("verifying") == 2, "what is as it was is not checked again"
        assert "Traceback" not in running.log_text()


def test_what_was_published_since_is_served_after_the_death_of_a_worker(store: Path, demo_store: Path) -> None:
    with gateway(store, ENGINE="fake") as running:
        running.wait_until_ready()
        _publish(store, demo_store, "second")
        os.kill(running.worker(), signal.SIGKILL)
        running.wait_until_ready()
        assert _tells(_ask(running), "second")
        assert "Traceback" not in running.log_text()


def test_what_is_published_damaged_is_not_loaded_until_it_is_mended(store: Path, demo_store: Path) -> None:
    with gateway(store, **FAKE) as running:
        running.wait_for("phase", phase="on_demand")
        weights = _publish(store, demo_store, "second") / "openvino_model.bin"
        whole = weights.read_bytes()
        weights.write_bytes(whole[:-1])
        refused = _ask(running)
        assert refused.status_code == 503
        assert "openvino_model.bin of demo is not as the manifest says" in refused.text
        assert running.client.get("/readyz").status_code == 503
        weights.write_bytes(whole)
        running.wait_for("phase", phase="on_demand")
        assert _tells(_ask(running), "second")


def test_a_model_that_is_removed_is_waited_for_and_served_when_it_is_back(store: Path) -> None:
    with gateway(store, **FAKE) as running:
        running.wait_for("phase", phase="on_demand")
        (store / "models").rename(store / "elsewhere")
        refused = _ask(running)
        assert refused.status_code == 503
        assert "docker compose run --rm model_fetcher" in refused.text
        (store / "elsewhere").rename(store / "models")
        running.wait_for("phase", phase="on_demand")
        assert _ask(running).status_code == 200


def test_a_model_with_a_missing_file_is_served_when_it_is_published_anew(store: Path, demo_store: Path) -> None:
    (content_folder(*_published(store)) / "openvino_model.bin").unlink()
    with gateway(store, ENGINE="fake") as running:
        assert "openvino_model.bin" in running.wait_for("phase", phase="waiting_for_weights")["detail"]
        _publish(store, demo_store, "second")
        running.wait_until_ready()
        assert _tells(_ask(running), "second")


@pytest.mark.parametrize("verify", ["full", "quick"])
def test_a_gateway_that_is_stopped_while_it_reads_huge_files_ends_at_once(store: Path, verify: str) -> None:
    path, manifest = _published(store)
    weights = content_folder(path, manifest) / "openvino_model.bin"
    os.truncate(weights, HUGE_BYTES)
    files = tuple(
        msgspec.structs.replace(file, size_bytes=HUGE_BYTES) if file.path == weights.name else file
        for file in manifest.files
    )
    write_manifest(path, msgspec.structs.replace(manifest, files=files))
    with gateway(store, ENGINE="fake", VERIFY=verify) as running:
        running.wait_for("phase", phase="verifying")
        while not _has_open(running.process.pid, weights):
            assert running.process.poll() is None
        running.terminate()
        assert running.exit_code() == 0
        assert "Traceback" not in running.log_text()


def _has_open(pid: int, path: Path) -> bool:
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed by now
            if descriptor.readlink() == path.resolve():
                return True
    return False
