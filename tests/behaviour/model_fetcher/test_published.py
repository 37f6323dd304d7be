"""A model that is on the volume: used without the network, checked, repaired file by file, moved to other machines."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from model_store.manifest import check_fully
from tests.behaviour.model_fetcher.conftest import ROOT, Fetcher, Outcome, corrupt, inodes, ready_made
from tests.hub import Hub, Stall

BIG = "openvino_model.bin"
PATIENCE_S = 60


@pytest.fixture
def published(fetcher: Fetcher, hub: Hub) -> Fetcher:
    """A volume with the ready-made model, and a hub that has not been asked anything since."""
    hub.add(ready_made())
    outcome = fetcher.run()
    assert outcome.exit_code == 0, outcome.output
    hub.requests.clear()
    return fetcher


def test_a_second_run_opens_no_connection(published: Fetcher, hub: Hub) -> None:
    outcome = published.run()
    assert outcome.exit_code == 0
    assert "ready: team/ready as openvino" in outcome.output
    assert hub.requests == []


def test_a_second_run_loads_neither_torch_nor_the_hub_client(published: Fetcher) -> None:
    watch = (
        "import sys; from model_fetcher.__main__ import main; code = main([]); "
        "heavy = {'torch', 'transformers', 'huggingface_hub', 'openvino', 'httpx', 'numpy'}; "
        "print('LOADED', sorted(heavy & set(sys.modules))); "
        "sys.exit(code)"
    )
    process = subprocess.run(
        [sys.executable, "-c", watch], cwd=ROOT, env=published.environment(), capture_output=True, text=True, check=True
    )
    assert "LOADED []" in process.stdout


def test_a_second_run_changes_nothing_on_the_volume(published: Fetcher) -> None:
    before = {path: path.stat().st_mtime_ns for path in published.store.rglob("*")}
    assert published.run(HF_ENDPOINT="http://127.0.0.1:1", HF_HUB_OFFLINE="1").exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in published.store.rglob("*")} == before


@pytest.mark.parametrize("damage", ["flipped", "missing", "truncated"])
def test_a_damaged_file_is_noticed_and_fetched_alone(published: Fetcher, hub: Hub, damage: str) -> None:
    content = published.content("openvino")
    before = inodes(content)
    if damage == "flipped":
        corrupt(content / BIG)
    elif damage == "missing":
        (content / BIG).unlink()
    else:
        os.truncate(content / BIG, 1000)
    outcome = published.run()
    assert outcome.exit_code == 0, outcome.output
    assert f"{BIG} is missing or damaged and will be repaired" in outcome.output
    assert {request.file for request in hub.requests} == {BIG}
    after = inodes(content)
    assert {name for name in before if before[name] != after[name]} == {BIG}
    assert check_fully(content, published.manifest("openvino").files).whole
    hub.requests.clear()
    assert published.run().exit_code == 0
    assert hub.requests == []


def test_a_repair_takes_the_published_commit_though_the_branch_moved_on(published: Fetcher, hub: Hub) -> None:
    old = published.manifest("openvino")
    corrupt(published.content("openvino") / "tokenizer.json", at=3)
    moved = hub.repositories["team/ready"]
    hub.requests.clear()
    moved.older[old.commit] = dict(moved.files)
    moved.files["tokenizer.json"] = b'{"version": "2.0"}'
    assert published.run().exit_code == 0
    assert f"/resolve/{old.commit}/tokenizer.json" in hub.requests[0].path
    assert published.manifest("openvino").commit == old.commit


def test_a_flipped_byte_with_an_old_time_is_found_by_a_full_check_only(published: Fetcher, hub: Hub) -> None:
    target = published.content("openvino") / BIG
    times = target.stat()
    corrupt(target)
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert published.run(VERIFY="quick").exit_code == 0
    assert hub.requests == []
    assert published.run(VERIFY="full").exit_code == 0
    assert {request.file for request in hub.requests} == {BIG}


def test_a_file_that_was_only_touched_is_no_damage_and_its_new_time_is_noted(published: Fetcher, hub: Hub) -> None:
    target = published.content("openvino") / BIG
    os.utime(target)
    assert published.run().exit_code == 0
    assert hub.requests == []
    noted = {file.path: file.mtime_ns for file in published.manifest("openvino").files}
    assert noted[BIG] == target.stat().st_mtime_ns


def test_an_extra_file_is_named_and_left_alone(published: Fetcher) -> None:
    extra = published.content("openvino") / "notes.txt"
    extra.write_text("mine", encoding="utf-8")
    outcome = published.run()
    assert outcome.exit_code == 0
    assert "notes.txt is not part of the model; it is left alone" in outcome.output
    assert extra.read_text(encoding="utf-8") == "mine"


def test_a_manifest_that_cannot_be_read_is_rebuilt(published: Fetcher) -> None:
    path = published.layout.manifest("team/ready", "openvino")
    path.write_text("{", encoding="utf-8")
    outcome = published.run()
    assert outcome.exit_code == 0, outcome.output
    assert "is not a manifest" in outcome.output
    assert check_fully(published.content("openvino"), published.manifest("openvino").files).whole


def test_two_fetchers_do_the_work_once(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(ready_made())
    stall = Stall(after_bytes=1000)
    hub.fail(BIG, stall)
    with fetcher.start(STALL_TIMEOUT_S="3") as first:
        assert stall.reached.wait(PATIENCE_S)
        with fetcher.start() as second:
            assert second.stdout is not None
            assert f"lock: waiting for another fetcher (process {first.pid} on " in second.stdout.readline()
            rest, _ = second.communicate(timeout=PATIENCE_S)
        first.communicate(timeout=PATIENCE_S)
    assert (first.returncode, second.returncode) == (0, 0)
    assert rest.startswith("ready: team/ready")
    assert [request.start for request in hub.requests_for(BIG)] == [0, 1000]


def test_list_and_verify_tell_what_is_there(published: Fetcher) -> None:
    listing = published.run("list").output
    assert listing.splitlines()[0].split() == ["MODEL", "VARIANT", "SIZE", "LICENCE", "COMMIT", "PUBLISHED"]
    assert "team/ready  openvino  8.4 MB  apache-2.0" in listing
    assert "team/ready openvino: whole, 4 files" in published.run("verify").output
    corrupt(published.content("openvino") / BIG)
    outcome = published.run("verify")
    assert outcome.exit_code == 18
    assert f"team/ready openvino: mismatched: {BIG}" in outcome.output
    assert "repairs the damaged files alone" in outcome.error


def test_remove_leaves_nothing_of_the_model(published: Fetcher) -> None:
    assert published.run("remove", "team/ready").exit_code == 0
    assert not list(published.layout.models.iterdir())
    outcome = published.run("remove", "team/ready")
    assert outcome.exit_code == 23
    assert "team/ready is not on" in outcome.error


@pytest.mark.parametrize("command", ["list", "verify", "export"])
def test_commands_on_an_empty_volume_say_that_it_is_empty(fetcher: Fetcher, command: str, tmp_path: Path) -> None:
    outcome = fetcher.run(command, *([str(tmp_path / "bundle")] if command == "export" else []))
    assert outcome.exit_code == 23


@pytest.fixture
def elsewhere(published: Fetcher, tmp_path: Path) -> Fetcher:
    """Another machine: its own empty volume, and no network."""
    offline = {**published.settings, "HF_ENDPOINT": "http://127.0.0.1:1"}
    return Fetcher(tmp_path / "elsewhere", tmp_path, offline)


def test_an_exported_model_is_whole_on_a_machine_without_a_network(
    published: Fetcher, elsewhere: Fetcher, tmp_path: Path
) -> None:
    bundle = tmp_path / "model.bundle"
    assert published.run("export", str(bundle)).exit_code == 0
    with tarfile.open(bundle) as archive:
        assert archive.getnames()[0] == "manifest.json"
    outcome = elsewhere.run("import", str(bundle))
    assert outcome.exit_code == 0, outcome.output
    assert "set MODEL_NAME=team/ready" in outcome.output
    assert elsewhere.run().exit_code == 0
    assert check_fully(elsewhere.content("openvino"), elsewhere.manifest("openvino").files).whole


def _damaged(bundle: Path, kind: str) -> None:
    if kind == "flipped byte":
        corrupt(bundle, at=bundle.stat().st_size // 2)
    elif kind == "truncated":
        os.truncate(bundle, bundle.stat().st_size // 2)
    elif kind == "not a bundle":
        bundle.write_bytes(b"GGUF" + bytes(10_000))
    else:
        with tarfile.open(bundle, "a") as archive:
            archive.add(__file__, arcname="content/../../../escaped.py")


@pytest.mark.parametrize("kind", ["flipped byte", "truncated", "not a bundle", "a path that leads outside"])
def test_a_damaged_bundle_is_refused_and_nothing_is_published(
    published: Fetcher, elsewhere: Fetcher, tmp_path: Path, kind: str
) -> None:
    bundle = tmp_path / "model.bundle"
    assert published.run("export", str(bundle)).exit_code == 0
    _damaged(bundle, kind)
    outcome = elsewhere.run("import", str(bundle))
    assert outcome.exit_code == 22
    assert "export it again" in outcome.error
    assert not list(elsewhere.store.rglob("manifest.json"))
    assert not list(elsewhere.store.rglob(BIG))
    assert not list(tmp_path.rglob("escaped.py"))


def test_a_damaged_model_is_not_exported(published: Fetcher, tmp_path: Path) -> None:
    corrupt(published.content("openvino") / BIG)
    outcome = published.run("export", str(tmp_path / "model.bundle"))
    assert outcome.exit_code == 18
    assert list(tmp_path.glob("*bundle*")) == []


def test_a_folder_with_ir_is_copied_and_renewed_when_it_changes(fetcher: Fetcher, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, content in ready_made().files.items():
        (folder / name).write_bytes(content)
    fetcher.settings = {"MODEL_NAME": str(folder)}
    assert fetcher.run().exit_code == 0
    first = fetcher.manifest("openvino")
    os.utime(folder / BIG)
    assert "ready: " in fetcher.run().output
    (folder / BIG).write_bytes(bytes(1000))
    outcome = fetcher.run()
    assert outcome.exit_code == 0, outcome.output
    assert fetcher.manifest("openvino").commit != first.commit
    assert (fetcher.content("openvino") / BIG).read_bytes() == bytes(1000)
    shutil.rmtree(folder)
    assert _is_ready(fetcher.run())


def _is_ready(outcome: Outcome) -> bool:
    return outcome.exit_code == 0 and outcome.output.startswith("ready: ")
