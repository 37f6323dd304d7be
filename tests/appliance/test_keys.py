"""Keys in the appliance: who is handed them, who answers without one, and a port that does not open by accident."""

import json

import httpx
import pytest

from tests.support.appliance import DEPENDENT, DOOR, FETCHER, GATEWAY, Appliance

ALICE, BOB = "alices-key-0123456789", "bobs-key-0123456789"
KEYS = f"alice={ALICE},bob={BOB}"


def _statuses(appliance: Appliance) -> list[int]:
    """Of /health without a key, with a wrong one, and with each of the two."""
    sent: list[dict[str, str]] = [{}, {"X-API-Key": ALICE + "x"}, {"X-API-Key": ALICE}]
    sent.append({"Authorization": f"Bearer {BOB}"})
    return [httpx.get(f"{appliance.url}/health", headers=headers).status_code for headers in sent]


def test_with_keys_the_appliance_is_healthy_and_its_dependent_gets_its_answer(served: Appliance) -> None:
    served.up(API_KEY=KEYS)
    assert _statuses(served) == [401, 401, 200, 200]
    assert httpx.get(f"{served.url}/livez").status_code == 200
    assert "The gateway is warm. It says:" in served.logs(DEPENDENT)


def test_keys_are_handed_to_those_who_need_them_alone(served: Appliance) -> None:
    served.up(API_KEY=KEYS)
    for service in (FETCHER, DOOR):
        assert ALICE not in json.dumps(served.inspect(service))
    assert ALICE not in served.logs()
    assert served.inspect(GATEWAY)["State"]["Health"]["Status"] == "healthy"


def test_a_file_of_keys_becomes_a_secret(served: Appliance) -> None:
    path = served.folder / "keys.txt"
    path.write_text(f"# ours\nalice={ALICE}\n{BOB}\n", encoding="utf-8")
    path.chmod(0o644)
    served.up(API_KEY_FILE="./keys.txt")
    assert _statuses(served) == [401, 401, 200, 200]
    for service in (GATEWAY, DEPENDENT, FETCHER, DOOR):
        assert ALICE not in json.dumps(served.inspect(service))


def test_without_a_key_the_gateway_does_not_open_to_the_network(served: Appliance) -> None:
    served.configure(BIND_ADDRESS="0.0.0.0")
    assert served.compose("up", "--wait").exit_code != 0
    assert "there is no API_KEY" in served.logs(GATEWAY)
    served.up(BIND_ADDRESS="0.0.0.0", API_KEY=KEYS)
    assert _statuses(served) == [401, 401, 200, 200]


@pytest.mark.parametrize(("address", "published"), [("", "127.0.0.1"), ("0.0.0.0", "0.0.0.0")])
def test_the_gateway_is_told_where_it_is_published(fresh: Appliance, address: str, published: str) -> None:
    fresh.configure(BIND_ADDRESS=address, API_KEY=KEYS)
    finished = fresh.compose("config", "--format", "json")
    services = json.loads(finished.output)["services"]
    assert services[GATEWAY]["environment"]["PUBLISHED_ADDRESS"] == published
    assert services[DOOR]["ports"][0]["host_ip"] == published
    assert {name for name, service in services.items() if ALICE in json.dumps(service)} == {GATEWAY, DEPENDENT}


def test_a_name_that_was_made_to_resolve_to_this_machine_is_refused_at_the_published_port(served: Appliance) -> None:
    served.up()
    assert httpx.get(f"{served.url}/health", headers={"Host": f"evil.example:{served.port}"}).status_code == 421
    assert httpx.get(f"{served.url}/health").status_code == 200
