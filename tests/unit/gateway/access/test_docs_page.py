"""The page at /docs runs what is in its policy, and the policy is of this very page."""

import base64
import hashlib
from html.parser import HTMLParser

import httpx
from fastapi import FastAPI

from llm_gateway.api.docs_page import docs_route


class Page(HTMLParser):
    """Collects what a browser would run or load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.own_scripts: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self._in_own_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self._in_own_script = tag == "script" and "src" not in values
        self.addresses += [str(values[name]) for name in ("src", "href") if name in values]
        self.handlers += [name for name in values if name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the base class's signature
        self._in_own_script = False

    def handle_data(self, data: str) -> None:
        if self._in_own_script:
            self.own_scripts.append(data)


async def test_each_script_of_the_page_is_allowed_by_its_hash_and_nothing_else_is() -> None:
    api = FastAPI(docs_url=None)
    api.include_router(docs_route("Preheat", api.openapi_url))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://localhost") as client:
        answer = await client.get("/docs")
    page, policy = Page(answer.text), answer.headers["content-security-policy"]
    directives = {words[0]: words[1:] for words in (directive.split() for directive in policy.split(";"))}
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in page.own_scripts]
    assert len(page.own_scripts) == 1
    assert directives["script-src"] == ["'self'", *(f"'sha256-{digest}'" for digest in digests)]
    assert directives["default-src"] == directives["frame-ancestors"] == directives["base-uri"] == ["'none'"]
    assert page.handlers == []
    assert page.addresses
    assert all(address.startswith("/docs-assets/") for address in page.addresses)
    assert answer.headers["x-frame-options"] == "DENY"
    assert "unsafe-inline" not in " ".join(directives["script-src"])
