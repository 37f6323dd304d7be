"""Standard error of a service that outlives whoever reads its log, and waits for nobody who reads it slowly.

A pipe that is not emptied (a log driver that hangs, a terminal on hold) stops whoever writes to it, and here that would
be the event loop, with every answer and every health check on it.
"""

import atexit
import io
import os
import select
import stat
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import RLock, Thread
from typing import Final

_STANDARD_ERROR: Final = 2
_MOST_KEPT_BYTES: Final = 1 << 20
_LAST_WORDS_S: Final = 1.0


class StandardError(io.TextIOBase):
    """Lines go out at once where they are taken at once. Else a thread waits, and what it cannot keep is counted."""

    def __init__(
        self,
        tell_of_lost_lines: Callable[[int], None],
        descriptor: int = _STANDARD_ERROR,
        most_kept_bytes: int = _MOST_KEPT_BYTES,
    ) -> None:
        """`tell_of_lost_lines` is called with their number once lines are taken again."""
        self._tell_of_lost_lines = tell_of_lost_lines
        self._descriptor = descriptor
        self._most_kept_bytes = most_kept_bytes
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)
        mode = os.fstat(descriptor).st_mode
        # A terminal takes parts of lines, and stands still in the middle of one when it is on hold.
        self._is_taken_whole = stat.S_ISFIFO(mode) or stat.S_ISREG(mode)
        # Collecting garbage can log, in the middle of a line: the lock's holder may come in again.
        self._lock = RLock()
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._num_lost = 0
        self._waiting: Thread | None = None
        atexit.register(self._end)

    def write(self, text: str) -> int:
        # Past Python's own buffer: what stays in there is written again at exit, and fails again, as exit code 120.
        line = text.encode(errors="backslashreplace")
        with self._lock:
            if self._waiting is None and not self._kept and self._is_taken_at_once(line):
                self._write(line)
                return len(text)
            self._keep(line)
            begins = self._waiting is None
            if begins:
                self._waiting = Thread(target=self._write_what_is_kept, name="log", daemon=True)
                waiting = self._waiting
        if begins:
            self._start(waiting)
        return len(text)

    def _is_taken_at_once(self, line: bytes) -> bool:
        """Whether writing cannot wait: a pipe with any room has it for a line of the size that is never split."""
        return self._is_taken_whole and len(line) <= select.PIPE_BUF and bool(self._room.poll(0))

    def _keep(self, line: bytes) -> None:
        if self._kept and self._kept_bytes + len(line) > self._most_kept_bytes:
            self._num_lost += 1
            return
        self._kept.append(line)
        self._kept_bytes += len(line)

    def _start(self, waiting: Thread) -> None:
        """Outside of the lock: starting waits for the new thread, which may have something to log itself."""
        try:
            waiting.start()
        except RuntimeError:  # there can be no more threads; the next line tries again
            with self._lock:
                self._waiting = None

    def _write_what_is_kept(self) -> None:
        while (line := self._next()) is not None:
            self._write(line)

    def _next(self) -> bytes | None:
        with self._lock:
            if self._kept:
                line = self._kept.popleft()
                self._kept_bytes -= len(line)
                return line
            self._waiting = None
            num_lost, self._num_lost = self._num_lost, 0
        if num_lost:
            self._tell_of_lost_lines(num_lost)
        return None

    def _write(self, line: bytes) -> None:
        """Write all of it; where nobody is there any more to take it, it is lost, and nothing else."""
        with suppress(OSError):
            while line:
                try:
                    line = line[os.write(self._descriptor, line) :]
                except BlockingIOError:  # whoever shares the descriptor has made it so that writing does not wait
                    self._room.poll()

    def _end(self) -> None:
        """Give the last lines a moment."""
        waiting = self._waiting
        if waiting is not None:
            waiting.join(_LAST_WORDS_S)
