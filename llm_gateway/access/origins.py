"""Which pages in a browser may use the gateway: none but its own, unless CORS_ORIGINS names them.

Browsers let any page send simple requests anywhere, and only keep the answer from it. A request that computes would
have computed by then, so it is refused by what browsers say of who sends it.
"""

from typing import Final

from llm_gateway.access.hosts import listed
from llm_gateway.settings import SettingsError

EVERY_ORIGIN: Final = "*"
_WITHOUT_A_HOST: Final = frozenset({EVERY_ORIGIN, "null", "file://"})
_CHANGES_NOTHING: Final = frozenset({"GET", "HEAD"})
_OF_THE_GATEWAYS_OWN_PAGE: Final = frozenset({"same-origin", "none"})


class AllowedOrigins:
    """The origins that are right besides the gateway's own."""

    def __init__(self, origins: frozenset[str]) -> None:
        self._origins = origins

    def __bool__(self) -> bool:
        return bool(self._origins)

    def allows(self, origin: str | None) -> bool:
        """Whether a page of this origin may ask, and read the answer."""
        return origin is not None and (origin.lower() in self._origins or EVERY_ORIGIN in self._origins)

    def header_for(self, origin: str) -> str:
        """What to answer in Access-Control-Allow-Origin to an origin that is allowed."""
        return EVERY_ORIGIN if EVERY_ORIGIN in self._origins else origin

    def is_foreign(
        self, method: str, *, origin: str | None, fetch_site: str | None, fetch_mode: str | None, host: str | None
    ) -> bool:
        """Whether a page that may not sent this; what follows a link, and what is no browser, is not foreign.

        A picture in a page is not a link: what it names may load a model. `fetch_mode` and `fetch_site` are the headers
        Sec-Fetch-Mode and Sec-Fetch-Site, which no page can set; browsers leave it out where the address is
        neither this machine's nor https, and Origin, compared with the host, has to do.
        """
        if self.allows(origin) or fetch_site in _OF_THE_GATEWAYS_OWN_PAGE:
            return False
        if origin is None:
            return fetch_site is not None and not (method in _CHANGES_NOTHING and fetch_mode in {None, "navigate"})
        return fetch_site is not None or origin.partition("://")[2].lower() != (host or "").lower()


def allowed_origins(setting: str) -> AllowedOrigins:
    """Read CORS_ORIGINS.

    Raises:
        SettingsError: an entry is no origin.
    """
    origins = listed(setting)
    for origin in origins:
        scheme, separator, rest = origin.partition("://")
        if origin not in _WITHOUT_A_HOST and not (scheme and separator and rest and "/" not in rest):
            raise SettingsError(
                f"CORS_ORIGINS has {origin!r}, expected origins such as https://chat.example.com or "
                "http://localhost:3000, without a path, or * for all; correct it in .env"
            )
    return AllowedOrigins(frozenset(origin.lower() for origin in origins))
