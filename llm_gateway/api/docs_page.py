"""The page at /docs: served whole from here, and told to the browser as all that it may run and load.

A browser in a server room has no other place to get the script from. The one script that the page has in itself is
allowed by its hash, so nothing that finds a way into the page can run.
"""

import base64
import hashlib
import re
from typing import Final

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

ASSETS: Final = "/docs-assets"
"""Where the application serves Swagger UI's files."""

_SCRIPT_OF_THE_PAGE: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def docs_route(title: str, description_url: str | None) -> APIRouter:
    """`GET /docs`."""
    made = get_swagger_ui_html(
        openapi_url=description_url or "/openapi.json",
        title=title,
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS}/favicon.png",
    )
    page = bytes(made.body)
    headers = {"Content-Security-Policy": content_security_policy(page), "X-Frame-Options": "DENY"}
    router = APIRouter()

    @router.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page, headers=headers)

    return router


def content_security_policy(page: bytes) -> str:
    """What the page may do: run its own scripts, look as its style sheet says, and ask this gateway.

    Swagger UI sets styles in attributes and has its pictures in `data:` addresses; neither can run anything.
    """
    hashes = [
        "'sha256-" + base64.b64encode(hashlib.sha256(script).digest()).decode() + "'"
        for script in _SCRIPT_OF_THE_PAGE.findall(page)
    ]
    return "; ".join(
        (
            "default-src 'none'",
            " ".join(("script-src 'self'", *hashes)),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
