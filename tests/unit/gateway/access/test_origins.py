"""Which pages may ask: what browsers send along, as the Fetch and CORS standards have it."""

import pytest

from llm_gateway.access.origins import allowed_origins
from llm_gateway.settings import SettingsError

HOST = "localhost:8085"


def is_foreign(
    method: str, origin: str | None, fetch_site: str | None, setting: str = "", fetch_mode: str | None = None
) -> bool:
    origins = allowed_origins(setting)
    return origins.is_foreign(method, origin=origin, fetch_site=fetch_site, fetch_mode=fetch_mode, host=HOST)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_what_is_no_browser_is_not_foreign(method: str) -> None:
    assert not is_foreign(method, None, None)


@pytest.mark.parametrize("fetch_site", [None, "same-origin"])
def test_the_gateways_own_page_may_ask(fetch_site: str | None) -> None:
    assert not is_foreign("POST", "http://localhost:8085", fetch_site)


def test_the_own_page_may_ask_through_a_proxy_that_changes_the_host() -> None:
    assert not is_foreign("POST", "https://chat.example", "same-origin")


@pytest.mark.parametrize(
    ("origin", "fetch_site"),
    [
        ("https://evil.example", "cross-site"),
        ("https://evil.example", None),
        ("null", None),
        ("null", "cross-site"),
        (None, "cross-site"),
        ("http://localhost:3000", "same-site"),
        ("http://localhost:3000", None),
        ("http://localhost:8085", "cross-site"),
    ],
)
def test_another_sites_page_may_not_make_anything_compute(origin: str | None, fetch_site: str | None) -> None:
    assert is_foreign("POST", origin, fetch_site)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_link_from_another_site_may_be_followed(method: str) -> None:
    assert not is_foreign(method, None, "cross-site")
    assert not is_foreign(method, None, "cross-site", fetch_mode="navigate")


def test_a_picture_in_another_sites_page_is_no_link() -> None:
    assert is_foreign("GET", None, "cross-site", fetch_mode="no-cors")
    assert not is_foreign("GET", None, "same-origin", fetch_mode="no-cors")


def test_a_page_that_is_named_may_ask_and_no_other() -> None:
    setting = "https://chat.example, http://localhost:3000"
    assert not is_foreign("POST", "https://chat.example", "cross-site", setting)
    assert not is_foreign("POST", "HTTP://LOCALHOST:3000", "same-site", setting)
    assert is_foreign("POST", "http://chat.example", "cross-site", setting)
    assert is_foreign("POST", "https://chat.example.evil", "cross-site", setting)


def test_a_star_is_every_page_that_says_where_it_is_from() -> None:
    assert not is_foreign("POST", "https://evil.example", "cross-site", "*")
    assert is_foreign("POST", None, "cross-site", "*")
    assert allowed_origins("*").header_for("https://evil.example") == "*"


@pytest.mark.parametrize("setting", ["chat.example", "https://chat.example/", "https://", "https://a/b, *"])
def test_what_is_no_origin_is_refused_by_name(setting: str) -> None:
    with pytest.raises(SettingsError, match="CORS_ORIGINS has"):
        allowed_origins(setting)
