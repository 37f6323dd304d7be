"""Under which names the gateway may be asked: the defence against DNS rebinding.

A page in a browser can have its own name resolve to 127.0.0.1, and is then of the same origin as the gateway. What it
cannot do is send another Host header than its own name. An address in place of a name cannot be made to resolve, so
addresses are always right.
"""

import ipaddress
import socket
from collections.abc import Sequence
from typing import Final

from llm_gateway.settings import Settings

EVERY_HOST: Final = "*"
OWN_NAMES: Final = frozenset({"localhost", "llm_gateway", "front_door", "host.docker.internal"})
"""This machine, the containers of compose.yaml, and what containers call the machine that they run on."""


class AllowedHosts:
    """The names that are right besides addresses; None is every name."""

    def __init__(self, names: frozenset[str] | None) -> None:
        self._names = names

    def accepts(self, hosts: Sequence[str]) -> bool:
        """Whether a request with these Host headers may come in; one without any is not from a browser."""
        if self._names is None or not hosts:
            return True
        if len(hosts) > 1:
            return False
        name = host_name(hosts[0])
        return name in self._names or name.endswith(".localhost") or is_address(name)


def allowed_hosts(settings: Settings, *, has_keys: bool) -> AllowedHosts:
    """Say which names are right: with keys on a port that is open to a network, all of them unless some are named.

    A page that rebinds has no key, and what a network calls this machine is not known here.
    """
    asked = listed(settings.allowed_hosts)
    if EVERY_HOST in asked or (has_keys and not asked and not is_loopback(published_address(settings))):
        return AllowedHosts(None)
    return AllowedHosts(OWN_NAMES | {socket.gethostname().lower()} | {host_name(name) for name in asked})


def published_address(settings: Settings) -> str:
    """Where clients outside find the port: in a container that is not where the gateway listens."""
    return (settings.published_address or settings.bind_address).strip("[]")


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches the address."""
    return address == "localhost" or (is_address(address) and ipaddress.ip_address(address).is_loopback)


def is_address(name: str) -> bool:
    """Whether it is an address of either family rather than a name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def host_name(host: str) -> str:
    """The name or address in a Host header, without its port: `[::1]:8085` is `::1`."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    if is_address(host):  # an IPv6 address that lacks its brackets, the last part of which is no port
        return host
    name, _, port = host.rpartition(":")
    return (name if name and port.isdigit() else host).removesuffix(".")


def listed(setting: str) -> tuple[str, ...]:
    """The entries of a setting that is a list with commas."""
    return tuple(entry.strip() for entry in setting.split(",") if entry.strip())
