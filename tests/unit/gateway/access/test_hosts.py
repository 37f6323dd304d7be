"""Which Host headers are right: names that a page could make resolve to this machine are not."""

import pytest

from llm_gateway.access.exposure import refuse_open_port
from llm_gateway.access.hosts import allowed_hosts, host_name, is_loopback
from llm_gateway.access.keys import KeyRing
from llm_gateway.settings import Settings, SettingsError

KEYS = KeyRing({"alice": "alices-key-0123456789"})


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost:8085", "localhost"),
        ("LOCALHOST", "localhost"),
        ("localhost.", "localhost"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]:8085", "::1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("name:port", "name:port"),
        ("", ""),
    ],
)
def test_a_host_is_a_name_with_or_without_a_port(host: str, name: str) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize(
    "host",
    [
        "localhost:8085",
        "app.localhost",
        "127.0.0.1:8085",
        "[::1]:8085",
        "192.168.1.5",
        "llm_gateway:8085",
        "front_door",
    ],
)
def test_addresses_and_the_gateways_own_names_are_right(host: str) -> None:
    assert allowed_hosts(Settings(), has_keys=False).accepts([host])


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost", "", "[evil]"]
)
def test_every_other_name_is_wrong(host: str) -> None:
    assert not allowed_hosts(Settings(), has_keys=False).accepts([host])
    assert not allowed_hosts(Settings(), has_keys=True).accepts([host])


def test_two_hosts_are_wrong_and_none_is_no_browsers_request() -> None:
    hosts = allowed_hosts(Settings(), has_keys=False)
    assert not hosts.accepts(["localhost", "localhost"])
    assert hosts.accepts([])


def test_names_can_be_added() -> None:
    hosts = allowed_hosts(Settings(allowed_hosts="chat.example, GPU.lan:8085"), has_keys=False)
    assert hosts.accepts(["chat.example"])
    assert hosts.accepts(["gpu.lan:9000"])
    assert hosts.accepts(["localhost"])
    assert not hosts.accepts(["evil.example"])


def test_a_star_is_every_name() -> None:
    assert allowed_hosts(Settings(allowed_hosts="*"), has_keys=False).accepts(["evil.example"])


@pytest.mark.parametrize(
    ("has_keys", "names", "right"), [(True, "", True), (True, "chat.example", False), (False, "", False)]
)
def test_on_a_network_any_name_will_do_with_keys_unless_some_are_named(has_keys: bool, names: str, right: bool) -> None:
    settings = Settings(published_address="0.0.0.0", allow_unauthenticated=True, allowed_hosts=names)
    assert allowed_hosts(settings, has_keys=has_keys).accepts(["gpu-box.lan:8085"]) is right


@pytest.mark.parametrize(
    ("address", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.5", False), ("gpu-box.lan", False)],
)  # fmt: skip
def test_what_only_this_machine_reaches(address: str, loopback: bool) -> None:
    assert is_loopback(address) is loopback


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(bind_address="0.0.0.0", published_address="127.0.0.1"),
        Settings(bind_address="0.0.0.0", published_address="[::1]"),
        Settings(bind_address="0.0.0.0", allow_unauthenticated=True),
    ],
)
def test_without_a_key_the_port_opens_to_this_machine_or_where_someone_says_so(settings: Settings) -> None:
    refuse_open_port(settings, KeyRing({}))


@pytest.mark.parametrize(
    "settings",
    [
        Settings(bind_address="0.0.0.0"),
        Settings(bind_address="::"),
        Settings(bind_address="0.0.0.0", published_address="192.168.1.5"),
    ],
)
def test_without_a_key_the_port_does_not_open_to_a_network(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="there is no API_KEY") as refused:
        refuse_open_port(settings, KeyRing({}))
    assert "ALLOW_UNAUTHENTICATED=true" in str(refused.value)
    refuse_open_port(settings, KEYS)
