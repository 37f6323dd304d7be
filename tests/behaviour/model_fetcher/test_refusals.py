"""Every way to fail that a person can mend: the right exit code, one sentence, advice, no traceback, no token."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.behaviour.model_fetcher.conftest import Fetcher, Outcome, ready_made
from tests.hub import Hub, Repository

TOKEN = "hf_thisIsASecretThatMustNeverBeSeen"


def test_an_unknown_repository_says_so(fetcher: Fetcher) -> None:
    outcome = fetcher.run(MODEL_NAME="nobody/nothing")
    assert outcome.exit_code == 10
    assert "there is no model nobody/nothing" in outcome.error
    assert "HF_TOKEN" in outcome.error


def test_an_unknown_revision_says_so(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(ready_made())
    outcome = fetcher.run(MODEL_NAME="team/ready@v9")
    assert outcome.exit_code == 10
    assert "no revision 'v9'" in outcome.error


def test_a_folder_without_a_model_says_so(fetcher: Fetcher, tmp_path: Path) -> None:
    outcome = fetcher.run(MODEL_NAME=str(tmp_path / "absent"))
    assert outcome.exit_code == 10
    assert "is not a folder" in outcome.error


def test_no_network_is_one_sentence(fetcher: Fetcher) -> None:
    outcome = fetcher.run(HF_ENDPOINT="http://127.0.0.1:1")
    assert outcome.exit_code == 11
    assert "http://127.0.0.1:1 cannot be reached" in outcome.error
    assert "HTTPS_PROXY" in outcome.error


def test_a_mirror_that_lists_files_without_sizes_and_hashes_is_refused(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(ready_made(described=False))
    outcome = fetcher.run()
    assert outcome.exit_code == 11
    assert f"{hub.endpoint} lists README.md without its size or hash" in outcome.error
    assert "HF_ENDPOINT" in outcome.error
    assert not list(fetcher.store.rglob("manifest.json"))


def test_offline_mode_asks_nobody(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(ready_made())
    outcome = fetcher.run(HF_HUB_OFFLINE="1")
    assert outcome.exit_code == 11
    assert "HF_HUB_OFFLINE" in outcome.error
    assert hub.requests == []


def test_a_gated_model_without_a_token_says_where_to_get_one(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(ready_made(gated=True))
    outcome = fetcher.run()
    assert outcome.exit_code == 12
    assert "HF_TOKEN is not set" in outcome.error
    assert f"{hub.endpoint}/settings/tokens" in outcome.error


@pytest.mark.parametrize(
    ("may", "exit_code", "sentence"),
    [
        ("not accepted", 13, "has not accepted its terms; accept them at {endpoint}/team/ready"),
        ("awaiting", 13, "awaits the publisher's approval"),
        ("no permission", 14, "HF_TOKEN may not read team/ready (Please enable access to public gated repositories"),
        (None, 14, "does not accept HF_TOKEN (invalid or expired)"),
    ],
    ids=["terms not accepted", "awaiting approval", "token without the permission", "invalid token"],
)
def test_a_gated_model_tells_its_refusals_apart(
    fetcher: Fetcher, hub: Hub, may: str | None, exit_code: int, sentence: str
) -> None:
    hub.add(ready_made(gated=True, tokens={TOKEN: may} if may else {}))
    outcome = fetcher.run(HF_TOKEN=TOKEN, LOG_LEVEL="debug")
    assert outcome.exit_code == exit_code
    assert sentence.format(endpoint=hub.endpoint) in outcome.error
    assert TOKEN not in outcome.output


def test_a_granted_token_reaches_the_hub_but_no_other_host_and_no_log(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(ready_made(gated=True, tokens={TOKEN: "granted"}))
    outcome = fetcher.run(HF_TOKEN=TOKEN, LOG_LEVEL="debug")
    assert outcome.exit_code == 0, outcome.output
    assert TOKEN not in outcome.output
    elsewhere = [request for request in hub.requests if request.path.startswith("/large/")]
    assert len(elsewhere) == 1
    assert elsewhere[0].token is None
    assert {request.token for request in hub.requests if request not in elsewhere} == {TOKEN}
    assert not any(TOKEN.encode() in path.read_bytes() for path in fetcher.store.rglob("*") if path.is_file())


def test_a_repository_of_pickles_is_refused(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(Repository("team/pickles", {"config.json": b"{}", "pytorch_model.bin": b"pickle"}))
    outcome = fetcher.run(MODEL_NAME="team/pickles")
    assert outcome.exit_code == 21
    assert "ALLOW_PICKLE=true" in outcome.error
    assert hub.requests_for("pytorch_model.bin") == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("QUANTIZATION", "int3"),
        ("VERIFY", "sometimes"),
        ("STALL_TIMEOUT_S", "-1"),
        ("PERFORMANCE_PROFILE", "warp_speed"),
        ("MODEL_NAME", "gpt2"),
        ("HF_ENDPOINT", "hub.example"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(fetcher: Fetcher, key: str, value: str) -> None:
    outcome = fetcher.run(**{key: value})
    assert outcome.exit_code == 2
    assert key in outcome.error
    assert value in outcome.error


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of four megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_is_too_small_is_refused_before_anything_is_fetched(
    fetcher: Fetcher, hub: Hub, small_disk: Path
) -> None:
    hub.add(ready_made())
    fetcher.store = small_disk
    outcome = fetcher.run()
    assert outcome.exit_code == 15
    assert "needs 8.4 MB more" in outcome.error
    assert "4.2 MB are free" in outcome.error
    assert hub.requests_for("openvino_model.bin") == []


def test_a_disk_that_fills_up_on_the_way_is_one_sentence(fetcher: Fetcher, hub: Hub, small_disk: Path) -> None:
    """The hub's own list promises less than it sends, so the room was not known to be missing."""
    repository = hub.add(ready_made())
    repository.sizes["openvino_model.bin"] = 1000
    fetcher.store = small_disk
    filler = small_disk / "filler"
    filler.write_bytes(bytes((4 << 20) - 40_960))
    outcome = fetcher.run()
    assert outcome.exit_code == 15
    assert "the disk is full" in outcome.error


def test_a_read_only_volume_is_one_sentence(fetcher: Fetcher, hub: Hub, small_disk: Path) -> None:
    hub.add(ready_made())
    fetcher.store = small_disk / "store"
    fetcher.store.mkdir()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    outcome = fetcher.run()
    assert outcome.exit_code == 16
    assert "is mounted read-only" in outcome.error


@pytest.fixture
def theirs() -> Iterator[Path]:
    """A folder that everybody may look into, unlike pytest's own, and that only root may write."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_volume_of_someone_else_names_both_users_and_the_command(fetcher: Fetcher, hub: Hub, theirs: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("becoming another user needs root")
    hub.add(ready_made())
    fetcher.store = theirs
    # The imports are done as root, so that the test does not depend on who may read the clone.
    become = (
        "import os, sys, model_fetcher.sources.hub; from model_fetcher.__main__ import main; "
        "os.setgroups([]); os.setgid(10001); os.setuid(10001); sys.exit(main([]))"
    )
    process = subprocess.run(
        [sys.executable, "-c", become], cwd="/", env=fetcher.environment(), capture_output=True, text=True, check=False
    )
    outcome = Outcome(process.returncode, process.stdout + process.stderr)
    assert outcome.exit_code == 16
    assert f"{fetcher.store} is owned by 0:0, I run as 10001:10001; run: " in outcome.error
    assert "chown" in outcome.error
    assert f"-R 10001:10001 {fetcher.store}" in outcome.error
