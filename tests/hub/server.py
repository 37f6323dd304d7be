"""The hub itself: two HTTP servers, one for the API and small files, one that plays the network of large files."""

import ssl
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer

from tests.hub.faults import Fault
from tests.hub.handlers import HubHandler, LargeFileHandler
from tests.hub.repository import Repository


@dataclass
class Request:
    """One request as it was answered."""

    method: str
    path: str
    file: str | None
    start: int
    """The offset that a Range header asked for, 0 without one."""
    token: str | None
    status: int = 0
    body_bytes: int = 0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: "Hub"


@dataclass
class Hub:
    """Repositories by name, faults by file, and everything that was asked."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    requests: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    endpoint: str = ""
    large_files: str = ""

    def add(self, repository: Repository) -> Repository:
        self.repositories[repository.name] = repository
        return repository

    def fail(self, file: str, *faults: Fault) -> None:
        """Let the next requests for a file's bytes fail, one fault each."""
        self.faults[file].extend(faults)

    def next_fault(self, file: str) -> Fault | None:
        with self.lock:
            return self.faults[file].pop(0) if self.faults[file] else None

    def requests_for(self, file: str) -> list[Request]:
        """The requests that were answered with bytes of a file, or should have been."""
        return [request for request in self.requests if request.file == file and request.status != 302]

    @contextmanager
    def serving(self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator["Hub"]:
        servers = [_Server((host, 0), handler) for handler in (HubHandler, LargeFileHandler)]
        for server in servers:
            server.hub = self
            if tls is not None:
                server.socket = tls.wrap_socket(server.socket, server_side=True)
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        scheme = "http" if tls is None else "https"
        ports = [server.server_address[1] for server in servers]
        self.endpoint, self.large_files = (f"{scheme}://{host}:{port}" for port in ports)
        try:
            yield self
        finally:
            self.closing.set()
            for server in servers:
                server.shutdown()
                server.server_close()
