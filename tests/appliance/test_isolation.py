"""What the containers may do and see: the compose file's promises, asked of the running containers."""

import ipaddress
import json
import socket

import pytest

from tests.support.appliance import DEPENDENT, DOOR, FETCHER, GATEWAY, Appliance, docker

TOKEN = "hf_a_token_that_only_the_fetcher_may_have"
PASSWORD = "a-password-in-a-proxy-address"

CONNECT = """
import socket
for where in {addresses!r}:
    try:
        socket.create_connection(where, timeout=3).close()
        print(where[0], "open")
    except OSError as error:
        print(where[0], "closed", error)
"""


@pytest.fixture(scope="module")
def running(served: Appliance) -> Appliance:
    served.up(HF_TOKEN=TOKEN, HTTPS_PROXY=f"http://user:{PASSWORD}@127.0.0.1:9")
    return served


@pytest.mark.parametrize("service", [GATEWAY, FETCHER, DOOR, DEPENDENT])
def test_every_container_is_confined(running: Appliance, service: str) -> None:
    description = running.inspect(service)
    host, config = description["HostConfig"], description["Config"]
    assert config["User"] == "10001:10001"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["CapAdd"] is None
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert 0 < host["PidsLimit"] <= 1024
    assert list(host["Tmpfs"]) == ["/tmp"]
    assert host["Privileged"] is False


@pytest.mark.parametrize("path", ["/app/x", "/x", "/venv/x", "/models/x", "/profiles/x"])
def test_the_gateway_can_write_nowhere_but_in_its_memory(running: Appliance, path: str) -> None:
    refused = running.python(GATEWAY, f"open({path!r}, 'w')")
    assert refused.exit_code == 1
    assert "Read-only file system" in refused.output or "Permission denied" in refused.output
    assert running.python(GATEWAY, "open('/tmp/x', 'w')").exit_code == 0


def test_only_the_fetcher_is_given_the_token_and_the_proxy(running: Appliance) -> None:
    assert f"HF_TOKEN={TOKEN}" in running.inspect(FETCHER)["Config"]["Env"]
    for service in (GATEWAY, DOOR, DEPENDENT):
        description = json.dumps(running.inspect(service))
        assert TOKEN not in description
        assert PASSWORD not in description
    assert running.python(GATEWAY, "import os; print(repr(os.environ['HF_TOKEN']))").output.strip() == "''"
    assert TOKEN not in running.logs()


def test_the_configuration_hands_the_token_to_the_fetcher_alone(running: Appliance) -> None:
    services = json.loads(running.compose("config", "--format", "json").output)["services"]
    assert [name for name, service in services.items() if TOKEN in json.dumps(service)] == [FETCHER]


def test_the_host_reaches_the_gateway_and_the_gateway_reaches_nobody(running: Appliance) -> None:
    """A container with an ordinary network reaches the door's outer side; the gateway does not reach even the host."""
    assert running.health()[0] == 200
    networks = running.inspect(DOOR)["NetworkSettings"]["Networks"]
    outside, inside = networks[f"{running.project}_outside"], networks[f"{running.project}_inside"]
    door_outside = (outside["IPAddress"], running.port)
    with socket.create_server(("0.0.0.0", 0)) as listener:
        port = listener.getsockname()[1]
        hosts = [outside["Gateway"], _first_address(inside["IPAddress"], inside["IPPrefixLen"]), _docker_address()]
        addresses = [door_outside, *((host, port) for host in hosts)]
        from_outside = running.on_volume(CONNECT.format(addresses=[door_outside]), network=f"{running.project}_outside")
        from_gateway = running.python(GATEWAY, CONNECT.format(addresses=addresses))
    assert from_outside.output.split()[1] == "open"
    assert [line.split()[1] for line in from_gateway.output.splitlines()] == ["closed"] * len(addresses)


def _first_address(address: str, prefix_length: int) -> str:
    """Where a bridge network has its host, unless it is told not to."""
    return str(next(ipaddress.ip_interface(f"{address}/{prefix_length}").network.hosts()))


def _docker_address() -> str:
    return docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}").output.strip()


def test_the_gateway_finds_no_name_outside(running: Appliance) -> None:
    asked = running.python(GATEWAY, "import socket; print(socket.getaddrinfo('example.com', 443))")
    assert asked.exit_code == 1
    assert "gaierror" in asked.output


def test_the_door_holds_no_volume_no_settings_and_no_weights(running: Appliance) -> None:
    description = running.inspect(DOOR)
    assert description["Mounts"] == []
    names = {variable.partition("=")[0] for variable in description["Config"]["Env"]}
    assert not names & {"MODEL_NAME", "HF_TOKEN", "HTTPS_PROXY", "PERFORMANCE_PROFILE"}


def test_the_port_is_published_on_this_machine_alone(running: Appliance) -> None:
    for service in (GATEWAY, DEPENDENT, FETCHER):
        assert not running.inspect(service)["HostConfig"]["PortBindings"]
    [published] = running.inspect(DOOR)["HostConfig"]["PortBindings"].values()
    assert published == [{"HostIp": "127.0.0.1", "HostPort": str(running.port)}]


def test_the_gateway_image_has_no_torch(running: Appliance) -> None:
    assert "No module named 'torch'" in running.python(GATEWAY, "import torch").output
