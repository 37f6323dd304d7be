"""How the two servers answer: paths, refusals, ranges and redirects as on the real hub."""

import json
import re
from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote, urlsplit

from tests.hub.faults import Cut, Fault, IgnoreRange, Stall, Status, WrongByte
from tests.hub.repository import Repository

if TYPE_CHECKING:
    from tests.hub.server import Hub, Request

_API = re.compile(r"/api/models/([^/]+/[^/]+?)(?:/revision/([^/]+))?")
_RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_LARGE = re.compile(r"/large/([^/]+/[^/]+)/(.+)")
_BLOCK_BYTES = 64 << 10


class _Handler(BaseHTTPRequestHandler, ABC):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> "Hub":
        return cast("Hub", self.server.hub)  # type: ignore[attr-defined]

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Keep the tests' output to the tests."""

    @abstractmethod
    def _answer(self) -> None:
        """Answer GET and HEAD."""

    def _note(self, file: str | None) -> "Request":
        from tests.hub.server import Request

        start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        request = Request(self.command, self.path, file, int(start[1]) if start else 0, token)
        self.hub.requests.append(request)
        return request

    def _path(self) -> str:
        """The path; a client that takes this server for its proxy sends a whole address."""
        return unquote(urlsplit(self.path).path)

    def _say(self, request: "Request", status: int, body: bytes = b"", **headers: str) -> None:
        request.status, request.body_bytes = status, len(body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_file(self, request: "Request", name: str, content: bytes, **headers: str) -> None:
        """Send a file or its rest, with whatever fault is due."""
        fault = self.hub.next_fault(name) if self.command == "GET" else None
        if isinstance(fault, Status):
            self._say(request, fault.code, b"", **{key.replace("-", "_"): value for key, value in fault.headers})
            return
        start = 0 if isinstance(fault, IgnoreRange) else request.start
        if start and start >= len(content):
            self._say(request, 416, b"", Content_Range=f"bytes */{len(content)}")
            return
        request.status = 206 if start else 200
        self.send_response(request.status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.command == "GET":
            self._send_body(request, content[start:], fault)

    def _send_body(self, request: "Request", body: bytes, fault: Fault | None) -> None:
        if isinstance(fault, WrongByte):
            body = body[: fault.at] + bytes([body[fault.at] ^ 0xFF]) + body[fault.at + 1 :]
        until = fault.after_bytes if isinstance(fault, Cut | Stall) else len(body)
        try:
            for offset in range(0, until, _BLOCK_BYTES):
                block = body[offset : min(offset + _BLOCK_BYTES, until)]
                self.wfile.write(block)
                request.body_bytes += len(block)
            self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
            return
        if isinstance(fault, Stall):
            fault.reached.set()
            self.hub.closing.wait()
        if isinstance(fault, Cut | Stall):
            self.close_connection = True


class HubHandler(_Handler):
    """The API, small files, and redirects to large ones."""

    def _answer(self) -> None:
        path = self._path()
        api, resolve = _API.fullmatch(path), _RESOLVE.fullmatch(path)
        request = self._note(resolve[3] if resolve else None)
        match = api or resolve
        named = self.hub.repositories.get(match[1]) if match else None
        repository = named.at(match[2]) if match and named else None
        if match is None or named is None:
            status = 404 if request.token else 401
            self._refuse(request, status, "RepoNotFound", "Repository not found")
        elif repository is None:
            self._refuse(request, 404, "RevisionNotFound", f"Invalid rev id: {match[2]}")
        elif api is not None:
            self._send_info(request, repository)
        elif resolve is not None:
            self._send_resolved(request, repository, resolve[3])

    def _send_info(self, request: "Request", repository: Repository) -> None:
        fault = self.hub.next_fault(f"api:{repository.name}")
        if isinstance(fault, Status):
            self._say(request, fault.code, b"", **{key.replace("-", "_"): value for key, value in fault.headers})
            return
        body = json.dumps(repository.model_info()).encode()
        if not isinstance(fault, Cut | Stall):
            self._say(request, 200, body, Content_Type="application/json")
            return
        request.status = 200
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._send_body(request, body, fault)

    def _send_resolved(self, request: "Request", repository: Repository, path: str) -> None:
        if repository.gated and not self._may_read(request, repository):
            return
        if path not in repository.files:
            self._refuse(request, 404, "EntryNotFound", "Entry not found")
            return
        named = {"X_Repo_Commit": repository.commit}
        if repository.is_lfs(path):
            linked = {"X_Linked_Etag": f'"{repository.etag(path)}"', "X_Linked_Size": str(len(repository.files[path]))}
            location = f"{self.hub.large_files}/large/{repository.name}/{path}"
            self._say(request, 302, b"", Location=location, **named, **linked)
            return
        self._send_file(request, path, repository.files[path], ETag=f'"{repository.etag(path)}"', **named)

    def _may_read(self, request: "Request", repository: Repository) -> bool:
        """The refusals of the real hub, word for word where its client or ours reads them."""
        name, page = repository.name, f"{self.hub.endpoint}/{repository.name}"
        restricted = f"Access to model {name} is restricted"
        if request.token is None:
            log_in = f"{restricted}. You must have access to it and be authenticated to access it. Please log in."
            self._refuse(request, 401, "GatedRepo", log_in)
            return False
        match repository.tokens.get(request.token):
            case "granted":
                return True
            case "not accepted":
                ask = f"{restricted} and you are not in the authorized list. Visit {page} to ask for access."
                self._refuse(request, 403, "GatedRepo", ask)
            case "awaiting":
                wait = f"Your request to access model {name} is awaiting a review from the repo authors."
                self._refuse(request, 403, "GatedRepo", wait)
            case "no permission":
                enable = "Please enable access to public gated repositories in your fine-grained token settings."
                self._refuse(request, 403, None, enable)
            case None:
                self._refuse(request, 401, None, "Invalid credentials in Authorization header")
        return False

    def _refuse(self, request: "Request", status: int, code: str | None, message: str) -> None:
        headers = {"X_Error_Message": message, "Content_Type": "application/json"}
        if code is not None:
            headers["X_Error_Code"] = code
        self._say(request, status, json.dumps({"error": message}).encode(), **headers)


class LargeFileHandler(_Handler):
    """Where redirects lead: another origin, which must never see a token."""

    def _answer(self) -> None:
        match = _LARGE.fullmatch(self._path())
        request = self._note(match[2] if match else None)
        if match is None:
            self._say(request, 404)
            return
        self._send_file(request, match[2], self.hub.repositories[match[1]].files[match[2]])
