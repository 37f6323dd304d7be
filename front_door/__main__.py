"""Listens where Docker publishes and carries every connection to the gateway: `python -m front_door PORT HOST:PORT`.

Docker cannot publish a port of a container that is on internal networks only, and the gateway is. So this process,
which holds no weights, no prompts and no secrets, stands between. It knows nothing of HTTP except one answer: while
there is no gateway to carry to, it says so. Standard library only.
"""

import asyncio
import contextlib
import resource
import signal
import sys

from front_door.carry import MOST_CONNECTIONS, Connections, serve

USAGE = "usage: python -m front_door PORT HOST:PORT, for example: python -m front_door 8085 llm_gateway:8085"

_LAST_BYTES_S = 5.0
_OTHER_FILES = 512
"""Sockets of refusals, and what is open besides."""


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM or SIGINT, then give the open connections a moment; returns the exit code."""
    try:
        port, (host, upstream_port) = int(arguments[0]), arguments[1].rsplit(":", 1)
        upstream = (host, int(upstream_port))
    except (IndexError, ValueError):
        print(USAGE, file=sys.stderr)  # noqa: T201 - said before anything else runs
        return 2
    asyncio.run(_run(port, upstream))
    return 0


async def _run(port: int, upstream: tuple[str, int]) -> None:
    told_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_stop.set)
    connections = Connections(upstream, most=_room())
    server = await serve(connections, "0.0.0.0", port)  # noqa: S104 - the container's; compose says what is published
    await told_to_stop.wait()
    server.close()
    # Compose stops the gateway first, so what is still open by then leads nowhere.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(connections.all_closed(), _LAST_BYTES_S)


def _room() -> int:
    """How many connections can be carried: each is two sockets, and the soft limit is raised as far as it may be."""
    wanted = 2 * MOST_CONNECTIONS + _OTHER_FILES
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return (allowed - _OTHER_FILES) // 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
