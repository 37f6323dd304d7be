"""What `docker compose config` makes of compose.yaml and `.env`; nothing is started."""

import json
from typing import Any

import pytest

from tests.support.appliance import DOOR, FETCHER, GATEWAY, Appliance


def _services(appliance: Appliance) -> dict[str, Any]:
    finished = appliance.compose("config", "--format", "json")
    assert finished.exit_code == 0, finished.output
    return dict(json.loads(finished.output)["services"])


def test_no_env_file_is_needed(fresh: Appliance) -> None:
    (fresh.folder / ".env").unlink()
    services = _services(fresh)
    assert services[DOOR]["ports"][0]["host_ip"] == "127.0.0.1"
    assert services[DOOR]["ports"][0]["published"] == "8085"
    assert services[GATEWAY].get("mem_limit", "0") == "0"


@pytest.mark.parametrize(("drain_s", "grace"), [("", "30s"), ("45", "55s"), ("0.5", "10.5s")])
def test_docker_waits_ten_seconds_longer_than_the_drain(fresh: Appliance, drain_s: str, grace: str) -> None:
    fresh.configure(DRAIN_TIMEOUT_S=drain_s)
    assert _services(fresh)[GATEWAY]["stop_grace_period"] == grace


def test_limits_come_from_env(fresh: Appliance) -> None:
    fresh.configure(MEMORY_LIMIT="4g", CPU_LIMIT="1.5")
    gateway = _services(fresh)[GATEWAY]
    assert gateway["mem_limit"] == str(4 << 30)
    assert gateway["cpus"] == 1.5


def test_what_env_says_reaches_both_services(fresh: Appliance) -> None:
    fresh.configure(MODEL_NAME="org/name", KV_CACHE_SIZE="2GiB", VERIFY="full")
    services = _services(fresh)
    for service in (GATEWAY, FETCHER):
        environment = services[service]["environment"]
        assert environment["MODEL_NAME"] == "org/name"
        assert (environment["KV_CACHE_SIZE"], environment["VERIFY"]) == ("2GiB", "full")
        assert environment["MODEL_STORE"] == "/models"
    assert services[GATEWAY]["environment"]["BIND_ADDRESS"] == "0.0.0.0"
