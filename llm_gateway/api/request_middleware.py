"""What every request gets: an id, a record that becomes one line in the log, a check at the door, a limit on its body.

Plain ASGI, because the frameworks' own middleware puts tasks and queues between a stream and its client.
"""

import asyncio
import re
import time
import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_gateway.api.access_check import OPEN_PATH, AccessCheck, RawHeaders
from llm_gateway.api.dialects import dialect_of
from llm_gateway.api.error_bodies import error_response
from llm_gateway.api.native.errors import NATIVE
from llm_gateway.api.slow_reader import PatientSender, SlowReaderError
from llm_gateway.api.streaming import CutStreamError
from llm_gateway.errors import BodyTooLargeError, ClientLeftError, GatewayError, RequestTimeoutError
from llm_gateway.telemetry.request_record import Outcome, RequestRecord, current_record

_log = structlog.get_logger()

_SAFE_ID = re.compile(r"[\x21-\x7e]{1,128}")
_QUIET_PATHS = frozenset({"/health", "/livez", "/readyz", "/metrics", "/version"})
"""Asked every few seconds by machines; logged at debug level."""
_ON_EVERY_ANSWER: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""No browser guesses what an answer is, tells others where it was, or gives it to another site's page as a script."""


class RequestMiddleware:
    """Wraps the application; `ended` is told of every record once it is complete."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        access: AccessCheck,
        max_body_bytes: int,
        body_timeout_s: float,
        slow_reader_timeout_s: float,
        ended: Callable[[RequestRecord], None],
    ) -> None:
        self._app = app
        self._access = access
        self._max_body_bytes = max_body_bytes
        self._body_timeout_s = body_timeout_s
        self._slow_reader_timeout_s = slow_reader_timeout_s
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = RequestRecord(
            _request_id(Headers(scope=scope)), arrived=time.monotonic(), dialect=dialect_of(scope["path"]).name
        )
        current_record.set(record)
        sender = PatientSender(send, self._slow_reader_timeout_s)
        exchange = _Exchange(sender.send, record.request_id, self._access.headers_for(scope))
        # Returning without the end of the body is what makes the server close the connection.
        try:
            await self._answer(scope, receive, exchange)
        except SlowReaderError as error:
            record.outcome = record.outcome or Outcome.CANCELLED
            record.error = str(error)
        except CutStreamError:
            pass
        except ClientLeftError:
            record.outcome = Outcome.CANCELLED
        except Exception:
            # The client has its 500 by now; this line is for whoever mends it.
            _log.exception("unexpected error", id=record.request_id, path=scope["path"])
            record.outcome = Outcome.FAILED
        finally:
            sender.close()
            self._finish(scope, record, exchange.status)

    async def _answer(self, scope: Scope, receive: Receive, exchange: "_Exchange") -> None:
        try:
            answer = self._access.admit(scope, current_record.get())
            # Whoever has no key is not waited for.
            wants_body = answer is None and scope["path"] != OPEN_PATH
            body = await self._read_body(Headers(scope=scope), receive) if wants_body else b""
        except ClientLeftError:
            raise
        except GatewayError as error:
            answer = error_response(error)
            if isinstance(error, RequestTimeoutError):
                answer.headers["Connection"] = "close"  # whatever comes of the body is not to be taken for a request
        if answer is None:
            await self._app(scope, _replay(body, receive), exchange.send)
        else:
            await answer(scope, receive, exchange.send)

    async def _read_body(self, headers: Headers, receive: Receive) -> bytes:
        try:
            async with asyncio.timeout(self._body_timeout_s):
                return await _read_body(headers, receive, self._max_body_bytes)
        except TimeoutError:
            raise RequestTimeoutError(
                f"the request's body did not come within {self._body_timeout_s:g} s; send it faster, or raise "
                "REQUEST_READ_TIMEOUT_S"
            ) from None

    def _finish(self, scope: Scope, record: RequestRecord, status: int | None) -> None:
        if record.timings.total_s is None:
            record.timings.total_s = time.monotonic() - record.arrived
        if record.outcome is None:
            record.outcome = _outcome_of(status)
        self._access.settle(record)
        quiet = scope["path"] in _QUIET_PATHS
        (_log.debug if quiet else _log.info)("request", **_line(scope, record, status))
        if not quiet:
            self._ended(record)


class _Exchange:
    """Sees the response pass: puts on it what every answer has, and remembers its status."""

    def __init__(self, send: Send, request_id: str, headers: RawHeaders) -> None:
        self._send = send
        self._request_id = request_id
        self._headers = headers
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(raw=message["headers"])["X-Request-ID"] = self._request_id
            message["headers"].extend((*_ON_EVERY_ANSWER, *self._headers))
        await self._send(message)


def _outcome_of(status: int | None) -> Outcome:
    """Tell by the answer how a request ended for which nothing was generated."""
    if status == ClientLeftError.status:
        return Outcome.CANCELLED
    return Outcome.FINISHED if status is not None and status < HTTPStatus.BAD_REQUEST else Outcome.REFUSED


def _request_id(headers: Headers) -> str:
    """The client's own id where it is printable and short, as logs and headers need it; else a new one."""
    given = headers.get("x-request-id", "")
    return given if _SAFE_ID.fullmatch(given) else uuid.uuid4().hex


async def _read_body(headers: Headers, receive: Receive, max_bytes: int) -> bytes:
    announced = headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > max_bytes:
        raise BodyTooLargeError(_too_large(max_bytes))
    body = bytearray()  # and not bytes, which would be copied with every small piece
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeftError("the client closed the connection before its request was whole")
        body += message.get("body", b"")
        if len(body) > max_bytes:
            raise BodyTooLargeError(_too_large(max_bytes))
        if not message.get("more_body", False):
            return bytes(body)


def _too_large(max_bytes: int) -> str:
    return f"the body is longer than {max_bytes} bytes; shorten it or raise MAX_REQUEST_BYTES"


def _replay(body: bytes, receive: Receive) -> Receive:
    """Hand out the body that was read, then whatever the connection brings, which is only its end."""
    bodies: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replaying() -> Message:
        return bodies.pop() if bodies else await receive()

    return replaying


def _line(scope: Scope, record: RequestRecord, status: int | None) -> dict[str, object]:
    timings = record.timings
    return {
        "id": record.request_id,
        "method": scope["method"],
        "path": scope["path"],
        "dialect": None if record.dialect == NATIVE.name else record.dialect,
        "key": record.key,
        "status": status,
        "outcome": record.outcome,
        "prompt_tokens": record.usage.prompt_tokens or None,
        "completion_tokens": record.usage.completion_tokens or None,
        "queue_ms": _milliseconds(timings.queue_s),
        "first_token_ms": _milliseconds(timings.first_token_s),
        "total_ms": _milliseconds(timings.total_s),
        "error": record.error,
    }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 1)
