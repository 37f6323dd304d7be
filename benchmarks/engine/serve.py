"""The engine's process: it loads what comes first, then does what it is asked, until the other end closes.

python -m benchmarks.engine.serve <file descriptor of the socket>
"""

import sys
import time
from multiprocessing.connection import Connection

from benchmarks.engine.drivers import load
from benchmarks.engine.setup import Setup


def serve(connection: Connection) -> None:
    setup: Setup = connection.recv()
    started = time.perf_counter()
    try:
        driver = load(setup)
    except Exception as error:  # whatever a library raises is what the caller wants to read
        connection.send((_sentence(error), None))
        return
    connection.send(("", time.perf_counter() - started))
    while True:
        try:
            work, args, kwargs = connection.recv()
        except EOFError:
            return
        try:
            reply = ("", work(driver, *args, **kwargs))
        except Exception as error:
            reply = (_sentence(error), None)
        connection.send(reply)


def _sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else 'it says no more'}"


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
