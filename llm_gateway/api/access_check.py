"""What a request must pass before its body is read: host, page, key, allowance; in this order, and all from its head.

The decisions are made in `access/`; here are the headers that they are made from and the answers that they lead to.
"""

import re
from typing import Final

from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.types import Scope

from llm_gateway.access.hosts import AllowedHosts, allowed_hosts
from llm_gateway.access.keys import KeyRing
from llm_gateway.access.origins import AllowedOrigins, allowed_origins
from llm_gateway.access.rate_limits import NOBODY, RateLimits
from llm_gateway.errors import ForeignPageError, InvalidKeyError, WrongHostError
from llm_gateway.settings import Settings
from llm_gateway.telemetry.request_record import RequestRecord

RawHeaders = list[tuple[bytes, bytes]]

OPEN_PATH: Final = "/livez"
"""The one path without a key: it says that a process answers, as the answer to any other does. It has no body."""
_KEY_HEADERS: Final = ("x-api-key", "api-key")
_BEARER: Final = "bearer "
_READING: Final = frozenset({"GET", "HEAD"})
_METHODS: Final = "GET, HEAD, POST, DELETE"
_HEADER_NAMES: Final = re.compile(r"[A-Za-z0-9\-_, ]{1,1024}")
_PREFLIGHT_GOOD_FOR_S: Final = 600


class AccessCheck:
    """The door: every request comes through it, and what it lets in knows whose it is."""

    def __init__(self, *, keys: KeyRing, limits: RateLimits, hosts: AllowedHosts, origins: AllowedOrigins) -> None:
        self._keys = keys
        self._limits = limits
        self._hosts = hosts
        self._origins = origins

    def admit(self, scope: Scope, record: RequestRecord) -> Response | None:
        """Let a request in, and note whose it is; returns the answer where it asks only whether it would be let in.

        Raises:
            WrongHostError, ForeignPageError, InvalidKeyError, RateLimitedError: it may not come in.
        """
        headers = Headers(scope=scope)
        self._check_host(headers)
        self._check_page(scope["method"], headers)
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            return self._preflight(headers)
        if self._keys and not (scope["path"] == OPEN_PATH and scope["method"] in _READING):
            record.key = self._whose(headers)
        if scope["method"] == "POST":
            self._limits.admit(record.key or NOBODY)
        return None

    def settle(self, record: RequestRecord) -> None:
        """Count what a request used, once it has ended."""
        self._limits.spend(record.key or NOBODY, record.usage.prompt_tokens + record.usage.completion_tokens)

    def headers_for(self, scope: Scope) -> RawHeaders:
        """What tells a browser that the page which asked may read the answer, whatever the answer is."""
        origin = Headers(scope=scope).get("origin")
        if origin is None or not self._origins.allows(origin):
            return [(b"vary", b"Origin")] if self._origins else []
        return [
            (b"access-control-allow-origin", self._origins.header_for(origin).encode("latin-1")),
            (b"access-control-expose-headers", b"X-Request-ID, Retry-After"),
            (b"vary", b"Origin"),
        ]

    def _check_host(self, headers: Headers) -> None:
        hosts = headers.getlist("host")
        if not self._hosts.accepts(hosts):
            raise WrongHostError(
                f"the request is for the host {', '.join(hosts)!r}, which this gateway does not know as its own name; "
                "ask for localhost or for an address, or add the name to ALLOWED_HOSTS"
            )

    def _check_page(self, method: str, headers: Headers) -> None:
        origin, site, mode = headers.get("origin"), headers.get("sec-fetch-site"), headers.get("sec-fetch-mode")
        if self._origins.is_foreign(method, origin=origin, fetch_site=site, fetch_mode=mode, host=headers.get("host")):
            raise ForeignPageError(
                f"a page of {origin or 'another site'} may not ask this gateway; add its origin to CORS_ORIGINS"
            )

    def _preflight(self, headers: Headers) -> Response:
        asked = headers.get("access-control-request-headers", "")
        allowed = asked if _HEADER_NAMES.fullmatch(asked) else "Authorization, Content-Type"
        return Response(
            status_code=204,
            headers={
                "Access-Control-Allow-Methods": _METHODS,
                "Access-Control-Allow-Headers": allowed,
                "Access-Control-Max-Age": str(_PREFLIGHT_GOOD_FOR_S),
            },
        )

    def _whose(self, headers: Headers) -> str:
        offered = [headers[name] for name in _KEY_HEADERS if name in headers]
        authorization = headers.get("authorization", "")
        if authorization.lower().startswith(_BEARER):
            offered.append(authorization[len(_BEARER) :].strip())
        for key in offered:
            name = self._keys.name_of(key)
            if name is not None:
                return name
        if offered:
            raise InvalidKeyError("the API key is none of this gateway's; check it, or ask whoever runs the gateway")
        raise InvalidKeyError("the request has no API key; send the header Authorization: Bearer KEY")


def access_check(settings: Settings, keys: KeyRing) -> AccessCheck:
    """Make the door that the settings describe.

    Raises:
        SettingsError: one of them cannot be used.
    """
    return AccessCheck(
        keys=keys,
        limits=RateLimits(
            requests_per_minute=settings.rate_limit_requests, tokens_per_minute=settings.rate_limit_tokens
        ),
        hosts=allowed_hosts(settings, has_keys=bool(keys)),
        origins=allowed_origins(settings.cors_origins),
    )
