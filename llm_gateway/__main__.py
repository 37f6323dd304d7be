"""settings -> app -> uvicorn. Ends with 0 after a drain, and with a code of its own for each kind of refusal."""

import signal
import socket
import sys

import structlog
import uvicorn

from llm_gateway.access.connections import ConnectionLimits, watched
from llm_gateway.access.exposure import is_open_to_everybody, refuse_open_port
from llm_gateway.access.keys import KeyRing, load_keys
from llm_gateway.app import Gateway
from llm_gateway.heap import use_one_arena
from llm_gateway.settings import Settings, SettingsError, load_settings, wants_json_logs
from llm_gateway.telemetry.log import configure_logging
from machine.open_files import allow_open_files

_WRONG_SETTING = 2
_BACKLOG = 2048
_SEND_BUFFER_BYTES = 128 << 10
"""What the kernel keeps for a client that does not read; it doubles the number. Left alone it takes up to 4 MiB."""
_DEAD_AFTER_SLOW = 2
"""The kernel closes a connection that took nothing for so many times SLOW_READER_TIMEOUT_S: then nobody here waits."""
_OTHER_FILES = 256
"""Open files that are no clients: libraries, sockets to workers, the log."""


def main() -> int:
    """Run the gateway; returns its exit code."""
    # The first process of a container ignores signals that it has no handler for, and uvicorn's come a second later.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    use_one_arena()
    try:
        settings, why_profile = load_settings()
        keys = load_keys(settings)
        refuse_open_port(settings, keys)
        listener = _bind(settings)
        configure_logging(settings.log_level, json=wants_json_logs(settings))
        _tell(settings, keys, why_profile)
        server, gateway = _make(settings, keys)
    except SettingsError as error:
        sys.stderr.write(f"llm_gateway: {error}\n")
        return _WRONG_SETTING
    server.run(sockets=[listener])
    return gateway.exit_code


def _tell(settings: Settings, keys: KeyRing, why_profile: str) -> None:
    log = structlog.get_logger()
    log.info(
        "listening",
        address=f"{settings.bind_address}:{settings.gateway_port}",
        model=settings.model_name,
        profile=settings.performance_profile,
        why=why_profile,
        keys=list(keys.names) or None,
    )
    if is_open_to_everybody(settings, keys):
        log.warning("everybody who reaches the port may use it", why="ALLOW_UNAUTHENTICATED is true")


def _make(settings: Settings, keys: KeyRing) -> tuple[uvicorn.Server, Gateway]:
    gateway = Gateway(settings, keys, stop_server=lambda: setattr(server, "should_exit", True))
    limits = ConnectionLimits(max_connections=_connections(settings), read_timeout_s=settings.request_read_timeout_s)
    server = uvicorn.Server(
        uvicorn.Config(
            gateway.asgi,
            lifespan="on",
            http=watched(limits),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            # Whoever still reads an answer that has ended gets a moment to do so.
            timeout_graceful_shutdown=2,
        )
    )
    return server, gateway


def _connections(settings: Settings) -> int:
    """How many connections there may be: as many as are asked for, where the system allows so many open files."""
    allowed = max(allow_open_files(settings.max_connections + _OTHER_FILES) - _OTHER_FILES, 16)
    if allowed < settings.max_connections:
        structlog.get_logger().warning("fewer connections than MAX_CONNECTIONS", connections=allowed, why="ulimit -n")
    return min(allowed, settings.max_connections)


def _bind(settings: Settings) -> socket.socket:
    """Take the port before anything slow happens.

    Raises:
        SettingsError: the address cannot be had.
    """
    where = (settings.bind_address, settings.gateway_port)
    family = socket.AF_INET6 if ":" in settings.bind_address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _bound_what_is_unread(listener, settings.slow_reader_timeout_s)
    try:
        listener.bind(where)
        listener.listen(_BACKLOG)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {where[0]}:{where[1]} ({error.strerror}); set GATEWAY_PORT to a free one"
        ) from error
    listener.setblocking(False)
    return listener


def _bound_what_is_unread(listener: socket.socket, slow_reader_timeout_s: float) -> None:
    """Bound, for all connections that this socket accepts, what a client may leave unread, and for how long."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    if sys.platform == "linux":
        # An answer that is whole has left its place; this ends the connection where the rest of it is never read.
        milliseconds = int(1000 * _DEAD_AFTER_SLOW * slow_reader_timeout_s)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


if __name__ == "__main__":
    sys.exit(main())
