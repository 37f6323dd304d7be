"""What the next `up` does about a damaged file and about a fetcher that was killed."""

from collections.abc import Iterator

import pytest

from tests.hub import Hub, Repository, Stall
from tests.support.appliance import FETCHER, GATEWAY, PATIENCE_S, Appliance, Finished, docker
from tests.support.gateway_process import REPOSITORY

WEIGHTS = "model.safetensors"
STALLED_AFTER_BYTES = 2 << 20

FLIP_A_BYTE = """
import pathlib
[path] = pathlib.Path('/models/models').rglob('openvino_model.bin')
content = bytearray(path.read_bytes())
content[len(content) // 2] ^= 0xFF
path.write_bytes(content)
"""


def test_a_corrupted_weight_file_is_noticed_and_repaired_by_the_next_up(served: Appliance) -> None:
    served.up()
    before = served.generate("How do I change the port?")["text"]
    assert served.compose("stop").exit_code == 0
    damaged = served.on_volume(FLIP_A_BYTE)
    assert damaged.exit_code == 0, damaged.output
    assert _verify(served).exit_code != 0

    served.up()
    assert "openvino_model.bin" in served.logs(FETCHER)
    assert _verify(served).exit_code == 0
    assert served.generate("How do I change the port?")["text"] == before


def _verify(appliance: Appliance) -> Finished:
    volume = f"{appliance.project}_model_store:/models"
    return docker("run", "--rm", "--network", "none", "--volume", volume, "preheat-model-fetcher", "verify")


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub on the address that this machine has on Docker's own network, where containers reach it."""
    address = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}").output.strip()
    with Hub().serving(host=address) as hub:
        yield hub


def test_a_fetcher_that_was_killed_in_a_download_goes_on_where_it_was(fresh: Appliance, hub: Hub) -> None:
    hub.add(Repository.of_folder("team/demo", REPOSITORY / "demo_model" / "weights"))
    stall = Stall(after_bytes=STALLED_AFTER_BYTES)
    hub.fail(WEIGHTS, stall)
    fresh.configure(MODEL_NAME="team/demo", HF_ENDPOINT=hub.endpoint, STALL_TIMEOUT_S=str(PATIENCE_S))

    starting = fresh.start("up", "--wait")
    assert stall.reached.wait(PATIENCE_S), "the download did not begin"
    assert fresh.compose("kill", "--signal", "KILL", FETCHER).exit_code == 0
    assert fresh.wait_for(starting).exit_code != 0
    assert fresh.inspect(FETCHER)["State"]["ExitCode"] == 137
    assert fresh.inspect(GATEWAY)["State"]["Status"] == "created", "the gateway started without weights"

    fresh.up(MODEL_NAME="team/demo", HF_ENDPOINT=hub.endpoint)
    first, *later = hub.requests_for(WEIGHTS)
    assert first.start == 0
    assert later
    assert all(request.start > 0 for request in later), "the download began anew"
    assert fresh.health()[1]["model"] == "team/demo"
