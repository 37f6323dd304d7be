"""Listens where Docker publishes and carries every connection to the gateway: `python -m front_door PORT HOST:PORT 30`.

Docker cannot publish a port of a container that is on internal networks only, and the gateway is. So this process,
which holds no weights, no prompts and no secrets, stands between. It knows nothing of HTTP except one answer: while
there is no gateway to carry to, it says so. Standard library only.
"""

import asyncio
import contextlib
import signal
import sys

from front_door.carry import MOST_CONNECTIONS, Connections, serve
from machine.open_files import allow_open_files

USAGE = (
    "usage: python -m front_door PORT HOST:PORT SLOW_READER_TIMEOUT_S, "
    "for example: python -m front_door 8085 llm_gateway:8085 30"
)

_LAST_BYTES_S = 5.0
_DEAD_AFTER_SLOW = 3
"""How many times the gateway's patience with a client that does not read: it goes first, since it can say why."""
_OTHER_FILES = 512
"""Sockets of refusals, and what is open besides."""


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM or SIGINT, then give the open connections a moment; returns the exit code."""
    try:
        port, (host, upstream_port) = int(arguments[0]), arguments[1].rsplit(":", 1)
        upstream = (host, int(upstream_port))
        dead_after_unread_s = _DEAD_AFTER_SLOW * float(arguments[2])
    except (IndexError, ValueError):
        print(USAGE, file=sys.stderr)  # noqa: T201 - said before anything else runs
        return 2
    asyncio.run(_run(port, upstream, dead_after_unread_s))
    return 0


async def _run(port: int, upstream: tuple[str, int], dead_after_unread_s: float) -> None:
    told_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_stop.set)
    connections = Connections(upstream, most=_room())
    # All addresses are the container's own; compose.yaml says what is published.
    server = await serve(connections, "0.0.0.0", port, dead_after_unread_s)  # noqa: S104
    await told_to_stop.wait()
    server.close()
    # Compose stops the gateway first, so what is still open by then leads nowhere.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(connections.all_closed(), _LAST_BYTES_S)


def _room() -> int:
    """How many connections can be carried: each is two sockets, and the soft limit is raised as far as it may be."""
    allowed = allow_open_files(2 * MOST_CONNECTIONS + _OTHER_FILES)
    return min(MOST_CONNECTIONS, (allowed - _OTHER_FILES) // 2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
