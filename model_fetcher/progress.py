"""Says how far things are: a bar on a terminal, lines for `docker logs` elsewhere, and a small file for the gateway.

It paces itself by the clock, so callers report as often as they like.
"""

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from model_store.progress_note import ProgressNote, write_note

log = logging.getLogger(__name__)
LINE_EVERY_S = 5.0
"""Often enough to see life, rare enough that an hour's download is not ten thousand lines."""
_BAR_EVERY_S = 0.1
_FILE_EVERY_S = 1.0
_BAR_WIDTH = 24
_BYTES_WORTH_A_RATE = 1_000_000


@dataclass
class Progress:
    """One run's progress. `path` is where the note goes; it is removed at the end."""

    path: Path
    stream: TextIO = field(default_factory=lambda: sys.stdout)
    clock: Callable[[], float] = time.monotonic
    _started_s: float = 0.0
    _start_bytes: int = 0
    _last_line_s: float = 0.0
    _last_note_s: float = float("-inf")
    _bar_shown: bool = False

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._end_bar()
        self.path.unlink(missing_ok=True)

    def begin(self, step: str, detail: str, done_bytes: int = 0, total_bytes: int = 0) -> None:
        """Start timing something; what was there before it began does not count towards the rate."""
        self._started_s = self._last_line_s = self.clock()
        self._start_bytes = done_bytes
        self._last_note_s = float("-inf")
        self._note(step, detail, done_bytes, total_bytes)

    def advance(self, step: str, detail: str, done_bytes: int, total_bytes: int) -> None:
        """Report how many of how many bytes are there."""
        now_s = self.clock()
        self._note(step, detail, done_bytes, total_bytes)
        if self.stream.isatty():
            if now_s - self._last_line_s >= _BAR_EVERY_S:
                self._last_line_s = now_s
                self._draw_bar(f"{detail} {self._figures(done_bytes, total_bytes)}", done_bytes / max(1, total_bytes))
        elif now_s - self._last_line_s >= LINE_EVERY_S:
            self._last_line_s = now_s
            log.info("%s %s: %s", step, detail, self._figures(done_bytes, total_bytes))

    def beat(self, step: str, detail: str) -> None:
        """Show that a step which counts no bytes is alive, with the seconds since it began."""
        self._note(step, detail, 0, 0)
        if self.clock() - self._last_line_s >= LINE_EVERY_S:
            self._last_line_s = self.clock()
            log.info("%s: %.0f s, %s", step, self.clock() - self._started_s, detail)

    def finish(self, step: str, detail: str, total_bytes: int) -> None:
        """Say that something is complete, how large it is and how fast it came."""
        self._end_bar()
        seconds = max(1e-3, self.clock() - self._started_s)
        moved_bytes = total_bytes - self._start_bytes
        # The time of a small file is the time of a round trip, and its rate would only alarm.
        rate = f", {human_bytes(moved_bytes / seconds)}/s" if moved_bytes >= _BYTES_WORTH_A_RATE else ""
        log.info("%s %s: %s%s", step, detail, human_bytes(total_bytes), rate)

    def _figures(self, done_bytes: int, total_bytes: int) -> str:
        rate = (done_bytes - self._start_bytes) / max(1e-3, self.clock() - self._started_s)
        left = f"{(total_bytes - done_bytes) / rate:.0f} s left" if rate > 0 else "time left unknown"
        return f"{human_bytes(done_bytes)} of {human_bytes(total_bytes)}, {human_bytes(rate)}/s, {left}"

    def _draw_bar(self, text: str, share: float) -> None:
        filled = round(min(1.0, share) * _BAR_WIDTH)
        self._bar_shown = True
        self.stream.write(f"\r\x1b[2K[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {text}")
        self.stream.flush()

    def _end_bar(self) -> None:
        if self._bar_shown:
            self._bar_shown = False
            self.stream.write("\r\x1b[2K")
            self.stream.flush()

    def _note(self, step: str, detail: str, done_bytes: int, total_bytes: int) -> None:
        now_s = self.clock()
        if now_s - self._last_note_s < _FILE_EVERY_S:
            return
        self._last_note_s = now_s
        note = ProgressNote(
            step=step, detail=detail, done_bytes=done_bytes, total_bytes=total_bytes, updated_at=time.time()
        )
        try:
            write_note(self.path, note)
        except OSError as error:
            # A disk that is full is told by the work itself; what makes room on it must not fail for want of a note.
            log.debug("the note of what goes on here could not be written (%s)", error)


def human_bytes(count: float) -> str:
    """Write a number of bytes in decimal units, as disks and networks are sold: `1.2 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
