"""Whether the port may be opened as the settings have it: not to a network without a key, unless someone says so."""

from llm_gateway.access.hosts import is_loopback, published_address
from llm_gateway.access.keys import KeyRing
from llm_gateway.settings import Settings, SettingsError


def is_open_to_everybody(settings: Settings, keys: KeyRing) -> bool:
    """Whether other machines reach the port and no key is asked of them."""
    return not keys and not is_loopback(published_address(settings))


def refuse_open_port(settings: Settings, keys: KeyRing) -> None:
    """See that nobody opens the gateway to a network by accident.

    Raises:
        SettingsError: other machines would reach it, without a key, and ALLOW_UNAUTHENTICATED does not say so.
    """
    if is_open_to_everybody(settings, keys) and not settings.allow_unauthenticated:
        raise SettingsError(
            f"BIND_ADDRESS is {published_address(settings)!r} and there is no API_KEY, so everybody who reaches this "
            "machine could use the gateway; set API_KEY or API_KEY_FILE, keep BIND_ADDRESS=127.0.0.1, or say that you "
            "want it so with ALLOW_UNAUTHENTICATED=true"
        )
