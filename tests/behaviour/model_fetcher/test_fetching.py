"""Bytes over a bad network: whatever happens on the way, the volume ends up whole, and nothing is fetched twice."""

import signal

import pytest

from tests.behaviour.model_fetcher.conftest import LARGE_BYTES, Fetcher, ready_made
from tests.hub import Cut, Hub, IgnoreRange, Stall, Status, WrongByte
from tests.support.volumes import published, strays

BIG = "openvino_model.bin"
PATIENCE_S = 60


def test_a_repository_with_openvino_ir_is_taken_as_it_is(fetcher: Fetcher, hub: Hub) -> None:
    repository = hub.add(ready_made())
    outcome = fetcher.run()
    assert outcome.exit_code == 0, outcome.output
    manifest = fetcher.manifest("openvino")
    assert (manifest.commit, manifest.precision) == (repository.commit, "as-published")
    assert (fetcher.content("openvino") / BIG).read_bytes() == repository.files[BIG]
    assert not list(fetcher.layout.downloads.rglob("*"))
    assert not fetcher.layout.fetch_progress.exists()


def test_neither_code_nor_prose_is_fetched(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(ready_made())
    fetcher.run()
    assert {request.file for request in hub.requests} & {"convert.py", "README.md"} == set()


def test_the_plan_and_each_file_are_told_in_lines_made_for_logs(fetcher: Fetcher, hub: Hub) -> None:
    repository = hub.add(ready_made())
    output = fetcher.run().output
    assert f"plan: team/ready from {hub.endpoint}/team/ready, commit {repository.commit[:12]}" in output
    assert "plan: licence apache-2.0" in output
    assert "plan: 4 files, 8.4 MB to fetch, 0 B on the volume already" in output
    assert f"fetch 3/4 {BIG}: 8.4 MB, " in output
    assert "\r" not in output
    assert "\x1b" not in output


def test_a_download_that_is_killed_goes_on_from_where_it_was(fetcher: Fetcher, hub: Hub) -> None:
    repository = hub.add(ready_made())
    # Far more than the sockets between the two can hold, so the fetcher has certainly written some of it.
    stall = Stall(after_bytes=LARGE_BYTES - 100_000)
    hub.fail(BIG, stall)
    with fetcher.start(STALL_TIMEOUT_S="60") as process:
        assert stall.reached.wait(PATIENCE_S)
        process.send_signal(signal.SIGKILL)
    outcome = fetcher.run()
    assert outcome.exit_code == 0, outcome.output
    first, second = hub.requests_for(BIG)
    assert first.start == 0
    assert second.start > 1_000_000
    assert second.body_bytes == LARGE_BYTES - second.start
    assert (fetcher.content("openvino") / BIG).read_bytes() == repository.files[BIG]
    assert "on the volume already" in outcome.output
    assert "0 B on the volume already" not in outcome.output


def test_a_file_that_was_whole_before_the_kill_is_not_asked_for_again(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(ready_made())
    stall = Stall(after_bytes=1000)
    hub.fail(BIG, stall)
    with fetcher.start(STALL_TIMEOUT_S="60") as process:
        assert stall.reached.wait(PATIENCE_S)
        process.kill()
    assert len(hub.requests_for("tokenizer.json")) == 1
    assert fetcher.run().exit_code == 0
    assert len(hub.requests_for("tokenizer.json")) == 1


def test_a_stop_signal_ends_it_with_one_line_and_keeps_what_came(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(ready_made())
    stall = Stall(after_bytes=LARGE_BYTES - 100_000)
    hub.fail(BIG, stall)
    with fetcher.start(STALL_TIMEOUT_S="60") as process:
        assert stall.reached.wait(PATIENCE_S)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "error: stopped by SIGTERM; what is downloaded stays, and the next start goes on from there" in output
    assert "Traceback" not in output
    assert [path.stat().st_size > 1_000_000 for path in fetcher.layout.downloads.rglob("*.part")] == [True]


def test_a_connection_that_is_cut_again_and_again_still_brings_the_file(fetcher: Fetcher, hub: Hub) -> None:
    repository = hub.add(ready_made())
    hub.fail(BIG, *(Cut(after_bytes=700_000) for _ in range(4)))
    outcome = fetcher.run(DOWNLOAD_RETRIES="2")
    assert outcome.exit_code == 0, outcome.output
    starts = [request.start for request in hub.requests_for(BIG)]
    assert starts == [number * 700_000 for number in range(5)]
    assert (fetcher.content("openvino") / BIG).read_bytes() == repository.files[BIG]


def test_a_stalled_connection_is_left_and_taken_up_again(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(ready_made())
    hub.fail(BIG, Stall(after_bytes=3_000_000))
    outcome = fetcher.run(STALL_TIMEOUT_S="1")
    assert outcome.exit_code == 0, outcome.output
    assert [request.start for request in hub.requests_for(BIG)] == [0, 3_000_000]
    assert "ReadTimeout" in outcome.output


def test_a_server_that_ignores_ranges_does_not_corrupt_the_file(fetcher: Fetcher, hub: Hub) -> None:
    repository = hub.add(ready_made())
    hub.fail(BIG, Cut(after_bytes=5_000_000), IgnoreRange())
    assert fetcher.run().exit_code == 0
    assert [request.body_bytes for request in hub.requests_for(BIG)] == [5_000_000, LARGE_BYTES]
    assert (fetcher.content("openvino") / BIG).read_bytes() == repository.files[BIG]


@pytest.mark.parametrize("name", [BIG, "tokenizer.json"], ids=["by its SHA-256", "by its git SHA-1"])
def test_a_wrong_byte_is_noticed_and_the_file_alone_fetched_again(fetcher: Fetcher, hub: Hub, name: str) -> None:
    repository = hub.add(ready_made())
    hub.fail(name, WrongByte(at=7))
    outcome = fetcher.run()
    assert outcome.exit_code == 0, outcome.output
    assert f"{name} does not match its publisher's hash" in outcome.output
    assert (fetcher.content("openvino") / name).read_bytes() == repository.files[name]
    asked = {file: len(hub.requests_for(file)) for file in ("openvino_model.xml", BIG, "tokenizer.json")}
    assert asked == {"openvino_model.xml": 1, BIG: 1, "tokenizer.json": 1} | {name: 2}


def test_a_file_that_is_wrong_twice_is_not_published(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(ready_made())
    hub.fail(BIG, WrongByte(at=7), WrongByte(at=7))
    outcome = fetcher.run()
    assert outcome.exit_code == 18
    assert BIG in outcome.error
    assert not fetcher.layout.manifest("team/ready", "openvino").exists()


def test_server_errors_pass(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(ready_made())
    hub.fail("api:team/ready", Status(500))
    hub.fail(BIG, Status(503))
    outcome = fetcher.run()
    assert outcome.exit_code == 0, outcome.output
    assert "status 503" in outcome.output


def test_a_hub_that_asks_for_a_pause_gets_it(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(ready_made())
    hub.fail(BIG, Status(429, (("Retry-After", "2"),)))
    outcome = fetcher.run()
    assert outcome.exit_code == 0, outcome.output
    assert "going on in 2 s (status 429)" in outcome.output


def test_a_hub_that_stays_broken_is_given_up_with_its_status(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(ready_made())
    hub.fail(BIG, *(Status(500) for _ in range(5)))
    outcome = fetcher.run(DOWNLOAD_RETRIES="2")
    assert outcome.exit_code == 11
    assert "status 500" in outcome.error
    assert len(hub.requests_for(BIG)) == 2


def test_a_hub_that_lists_more_bytes_than_it_sends_is_given_up_with_a_sentence(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(ready_made()).sizes[BIG] = LARGE_BYTES + 1
    outcome = fetcher.run(DOWNLOAD_RETRIES="2")
    assert outcome.exit_code == 11, outcome.output
    assert "sends a file that is not as long as its own list says" in outcome.error
    assert [request.status for request in hub.requests_for(BIG)] == [200, 416, 200]


def _partial_download(fetcher: Fetcher, hub: Hub) -> str:
    """Kill a download in its large file; returns its commit."""
    stall = Stall(after_bytes=LARGE_BYTES - 100_000)
    hub.fail(BIG, stall)
    with fetcher.start(STALL_TIMEOUT_S="60") as process:
        assert stall.reached.wait(PATIENCE_S)
        process.kill()
    hub.requests.clear()
    return hub.repositories["team/ready"].commit


def test_a_download_goes_on_although_the_branch_has_moved_to_another_commit(fetcher: Fetcher, hub: Hub) -> None:
    repository = hub.add(ready_made())
    repository.files["generation_config.json"] = b"{}"
    first = _partial_download(fetcher, hub)
    del repository.files["generation_config.json"]
    repository.files["config.json"] += b"\n"
    outcome = fetcher.run()
    assert outcome.exit_code == 0, outcome.output
    (went_on,) = hub.requests_for(BIG)
    assert went_on.start > 1_000_000
    assert fetcher.manifest("openvino").commit == repository.commit != first
    content = fetcher.content("openvino")
    assert (content / "config.json").read_bytes() == repository.files["config.json"]
    assert (content / BIG).read_bytes() == repository.files[BIG]
    assert len(published(fetcher.store)) == 4
    assert strays(fetcher.store) == set()


def test_a_part_of_other_weights_is_noticed_and_never_published(fetcher: Fetcher, hub: Hub) -> None:
    repository = hub.add(ready_made())
    _partial_download(fetcher, hub)
    repository.files[BIG] = bytes(LARGE_BYTES)
    outcome = fetcher.run()
    assert outcome.exit_code == 0, outcome.output
    assert f"{BIG} does not match its publisher's hash" in outcome.output
    assert (fetcher.content("openvino") / BIG).read_bytes() == repository.files[BIG]
    assert strays(fetcher.store) == set()


def test_a_kill_between_moving_and_publishing_costs_no_second_download(fetcher: Fetcher, hub: Hub) -> None:
    repository = hub.add(ready_made())
    assert fetcher.run().exit_code == 0
    fetcher.layout.manifest("team/ready", "openvino").unlink()
    outcome = fetcher.run()
    assert outcome.exit_code == 0, outcome.output
    assert len(hub.requests_for(BIG)) == 1
    assert (fetcher.content("openvino") / BIG).read_bytes() == repository.files[BIG]


def test_a_shard_that_the_index_names_is_fetched_and_no_other(fetcher: Fetcher, hub: Hub) -> None:
    """The download of originals, stopped before the conversion by an architecture that nothing knows."""
    repository = ready_made("team/shards")
    for name in ("openvino_model.xml", "openvino_model.bin"):
        del repository.files[name]
    header = b'{"weight": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}}'
    shard = len(header).to_bytes(8, "little") + header + bytes(8)
    repository.files["config.json"] = repository.files["config.json"].replace(b'"llama"', b'"unheard-of"')
    repository.files["model.safetensors.index.json"] = b'{"weight_map": {"weight": "model-00001-of-00001.safetensors"}}'
    repository.files["model-00001-of-00001.safetensors"] = shard
    repository.files["consolidated.safetensors"] = shard
    hub.add(repository)
    outcome = fetcher.run(MODEL_NAME="team/shards")
    assert outcome.exit_code == 19
    assert "OpenVINO IR" in outcome.error
    assert fetcher.manifest("safetensors", "team/shards").shape.num_parameters == 4
    assert hub.requests_for("consolidated.safetensors") == []
