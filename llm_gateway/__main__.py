"""settings -> app -> uvicorn. Ends with 0 after a drain, and with a code of its own for each kind of refusal."""

import signal
import socket
import sys

import structlog
import uvicorn

from llm_gateway.app import Gateway
from llm_gateway.heap import use_one_arena
from llm_gateway.settings import Settings, SettingsError, load_settings, wants_json_logs
from llm_gateway.telemetry.log import configure_logging

_WRONG_SETTING = 2
_BACKLOG = 2048
_SEND_BUFFER_BYTES = 128 << 10
"""What the kernel keeps for a client that does not read; it doubles the number. Left alone it takes up to 4 MiB."""
_DEAD_AFTER_SLOW = 2
"""The kernel closes a connection that took nothing for so many times SLOW_READER_TIMEOUT_S: then nobody here waits."""


def main() -> int:
    """Run the gateway; returns its exit code."""
    # The first process of a container ignores signals that it has no handler for, and uvicorn's come a second later.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    use_one_arena()
    try:
        settings, why_profile = load_settings()
        listener = _bind(settings)
    except SettingsError as error:
        sys.stderr.write(f"llm_gateway: {error}\n")
        return _WRONG_SETTING
    configure_logging(settings.log_level, json=wants_json_logs(settings))
    structlog.get_logger().info(
        "listening",
        address=f"{settings.bind_address}:{settings.gateway_port}",
        model=settings.model_name,
        profile=settings.performance_profile,
        why=why_profile,
    )
    return _serve(settings, listener)


def _serve(settings: Settings, listener: socket.socket) -> int:
    gateway = Gateway(settings, stop_server=lambda: setattr(server, "should_exit", True))
    server = uvicorn.Server(
        uvicorn.Config(
            gateway.asgi,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            # Whoever still reads an answer that has ended gets a moment to do so.
            timeout_graceful_shutdown=2,
        )
    )
    server.run(sockets=[listener])
    return gateway.exit_code


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
