"""One writer per volume. A second fetcher says whom it waits for, waits, and then finds the work done.

The kernel drops the lock when its holder dies, however it dies, so there is no stale lock to remove by hand.
"""

import fcntl
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from model_store.layout import StoreLayout
from model_store.progress_note import read_note

log = logging.getLogger(__name__)
_RETRY_EVERY_S = 0.5
_SAY_EVERY_S = 30.0


@contextmanager
def writer_lock(layout: StoreLayout) -> Iterator[int]:
    """Hold the volume's lock; creates the volume's folder where it is missing.

    Gives the descriptor. A child that inherits it holds the lock too, so that nobody else writes before it has ended.

    Raises:
        OSError: the folder cannot be created or written.
    """
    layout.root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(descriptor, layout)
        os.ftruncate(descriptor, 0)
        with suppress(OSError):  # who holds it is a courtesy, and a full disk must not keep anybody from making room
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def writer_lock_if_free(layout: StoreLayout) -> Iterator[bool]:
    """Hold the lock where nobody else does; gives whether that is so, and does not wait.

    Raises:
        OSError: there is no volume yet, or it cannot be written.
    """
    descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, layout: StoreLayout) -> None:
    last_said_s = float("-inf")
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() - last_said_s >= _SAY_EVERY_S:
                last_said_s = time.monotonic()
                log.info("lock: waiting for another fetcher (%s)", _describe_holder(descriptor, layout))
            time.sleep(_RETRY_EVERY_S)
        else:
            return


def _describe_holder(descriptor: int, layout: StoreLayout) -> str:
    holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "it has just started"
    note = read_note(layout.fetch_progress)
    return f"{holder}, which is at: {note.step} {note.detail}" if note else holder
