"""Docker's limits, and what the gateway makes of them."""

import os

import pytest

from tests.support.appliance import GATEWAY, Appliance, docker

TOO_LITTLE = "200m"


def test_a_limit_that_is_too_small_is_refused_with_a_sentence_and_not_killed(served: Appliance) -> None:
    served.up()
    served.configure(MEMORY_LIMIT=TOO_LITTLE)
    name = f"{served.project}-refused"
    refused = served.compose("run", "--no-deps", "--name", name, GATEWAY)
    state = docker("inspect", "--format", "{{.State.ExitCode}} {{.State.OOMKilled}}", name).output.split()
    docker("rm", "--force", name)
    assert state == ["17", "false"], refused.output
    assert "limit 0.1 GiB" in refused.output
    assert "needs" in refused.output
    assert "Traceback" not in refused.output


def test_up_does_not_hang_on_a_gateway_that_refuses(served: Appliance) -> None:
    served.configure(MEMORY_LIMIT=TOO_LITTLE)
    finished = served.compose("up", "--wait")
    assert finished.exit_code != 0
    assert "llm_gateway" in finished.output
    assert "needs" in served.logs(GATEWAY)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one processor allows one thread with and without a quota")
def test_a_quota_of_one_processor_gives_one_thread(served: Appliance) -> None:
    served.up(CPU_LIMIT="1")
    assert served.health()[1]["figures"]["num_threads"] == 1
    served.up(CPU_LIMIT="2")
    assert served.health()[1]["figures"]["num_threads"] == 2
