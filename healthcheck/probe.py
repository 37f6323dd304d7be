"""Ask the gateway on this machine whether it is ready: exit 0 or 1, and one line that `docker inspect` can show.

Only the standard library, so that it starts fast and works in every image. It decides nothing: /readyz does, and
/health says what the line tells. The port is `GATEWAY_PORT`, 8085 if that is unset or empty. Where the gateway has
keys, the first of `API_KEY` or `API_KEY_FILE` goes with the questions; it is never printed.
"""

import http.client
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

TIMEOUT_S = 5.0
DEFAULT_PORT = "8085"
_HOST = "127.0.0.1"
_NAME_BEFORE_KEY = re.compile(r"\A[A-Za-z0-9_.-]{1,64}=(?=.*[^=])")
"""As the gateway reads it; the signs of equality at the end of a key in base64 are no separators."""


def main() -> int:
    ready, line = probe(os.environ.get("GATEWAY_PORT") or DEFAULT_PORT, authorization(os.environ))
    sys.stdout.write(f"{'ready' if ready else 'not ready'}: {line}\n")
    return 0 if ready else 1


def authorization(environment: Mapping[str, str]) -> dict[str, str]:
    """The header that lets a request in: of the first key in `API_KEY`, or in the file that `API_KEY_FILE` names."""
    written = [*environment.get("API_KEY", "").split(","), *_lines(environment.get("API_KEY_FILE", ""))]
    for entry in (text.strip() for text in written):
        if entry:
            return {"Authorization": f"Bearer {_NAME_BEFORE_KEY.sub('', entry, count=1)}"}
    return {}


def _lines(path: str) -> list[str]:
    """The lines of a file of keys; none where it cannot be read, which the gateway's 401 then tells of."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines() if path else []
    except (OSError, UnicodeDecodeError):
        return []
    return [line for line in lines if not line.lstrip().startswith("#")]


def probe(port: str, headers: Mapping[str, str] | None = None) -> tuple[bool, str]:
    """Return whether the gateway on `port` is ready, and what it says of itself."""
    if not port.isdigit() or not 1 <= int(port) <= 65535:
        return False, f"GATEWAY_PORT is {port!r}, expected a number from 1 to 65535"
    try:
        status, _ = _get(int(port), "/readyz", headers or {})
        _, body = _get(int(port), "/health", headers or {})
    except ConnectionRefusedError:
        return False, f"nothing listens on {_HOST}:{port}"
    except TimeoutError:
        return False, f"no answer from {_HOST}:{port} within {TIMEOUT_S:.0f} s"
    except (OSError, http.client.HTTPException) as error:
        return False, f"{_HOST}:{port} does not answer as a gateway does ({type(error).__name__}: {error})"
    return status == http.HTTPStatus.OK, _describe(body) or f"/readyz answers {status}"


def _get(port: int, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(_HOST, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path, headers=dict(headers))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _describe(body: bytes) -> str:
    """Tell what /health says; empty where it is not what a gateway sends."""
    try:
        health = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(health, dict):
        return ""
    if health.get("phase") == "ready":
        return f"{health.get('model')}, up {_number(health.get('uptime_s')) or 0:.0f} s"
    progress, left_s = _number(health.get("progress")), _number(health.get("estimated_seconds_left"))
    parts = [
        str(health.get("phase") or health.get("status") or ""),
        "" if progress is None else f"{progress * 100:.0f} %",
        "" if left_s is None else f"about {left_s:.0f} s left",
    ]
    return ", ".join(filter(None, parts))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


if __name__ == "__main__":
    sys.exit(main())
