"""Stopping lets answers finish; starting again with the volume present needs neither the network nor much time."""

import http.client
import json
from contextlib import closing

from tests.support.appliance import DEPENDENT, DOOR, GATEWAY, Appliance, docker

SLOW_ENGINE = {"ENGINE": "fake", "FAKE_ENGINE": "tokens_per_s=20"}

LIST_FILES = """
import pathlib
for path in sorted(pathlib.Path('/models/models').rglob('*')):
    print(path, path.stat().st_mtime_ns)
"""


def test_stop_lets_a_running_answer_finish_and_ends_with_0(served: Appliance) -> None:
    served.up(**SLOW_ENGINE)
    body = {"prompt": "This goes on for a few seconds.", "max_tokens": 60}
    undisturbed = served.request("/generate", body)[1]["text"]
    with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=120)) as connection:
        connection.request("POST", "/stream", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        first_piece = answer.read1()
        assert answer.status == 200, first_piece

        stopping = served.start("stop")
        states = {health["status"] for _, health in served.watch_health_until(stopping) if health}
        whole = first_piece + answer.read()
    assert served.wait_for(stopping).exit_code == 0

    assert "draining" in states, f"health said {states} while the answer went on"
    assert whole.decode() == undisturbed, "the answer was cut"
    for service in (GATEWAY, DOOR, DEPENDENT):
        assert served.inspect(service)["State"]["ExitCode"] == 0, f"{service}: {served.logs(service)}"


def test_a_start_with_the_volume_present_converts_nothing_and_changes_no_file(served: Appliance) -> None:
    served.up()
    before = _files_on(served)
    assert served.compose("stop").exit_code == 0
    served.up()
    assert _files_on(served) == before
    assert served.health()[1]["phase"] == "ready"


def test_the_fetcher_needs_no_network_once_the_model_is_published(served: Appliance) -> None:
    served.up()
    volume = f"{served.project}_model_store:/models"
    finished = docker("run", "--rm", "--network", "none", "--read-only", "--volume", volume, "preheat-model-fetcher")
    assert finished.exit_code == 0, finished.output


def test_an_edited_profile_needs_no_new_image(served: Appliance) -> None:
    profile = served.folder / "profiles" / "cpu_optimized.env"
    original = profile.read_text(encoding="utf-8")
    served.up()
    try:
        profile.write_text(original.replace("KV_CACHE_PRECISION=bf16", "KV_CACHE_PRECISION=nonsense"), encoding="utf-8")
        refused = served.compose("run", "--rm", "--no-deps", GATEWAY)
        assert refused.exit_code == 2
        assert "KV_CACHE_PRECISION is 'nonsense'" in refused.output
    finally:
        profile.write_text(original, encoding="utf-8")


def _files_on(appliance: Appliance) -> str:
    listed = appliance.on_volume(LIST_FILES)
    assert listed.exit_code == 0, listed.output
    assert "manifest.json" in listed.output
    return listed.output
