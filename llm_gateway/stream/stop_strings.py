"""Cut a text at the first stop string, wherever the pieces it comes in are divided.

Text that could still turn out to be the beginning of a stop string is held back, so none is ever half sent. The
earliest match wins, and the longest of those that start together, as if the whole text had been there at once.
"""

import re
from collections.abc import Sequence


class StopStringFilter:
    """The filter of one sequence. After the last piece, call `flush` and then look at `matched` once more."""

    def __init__(self, stops: Sequence[str], *, include: bool = False) -> None:
        """`include` makes the stop string that was reached part of the text."""
        self._include = include
        self._stops = tuple(sorted({stop for stop in stops if stop}, key=len, reverse=True))
        self._pattern = re.compile("|".join(re.escape(stop) for stop in self._stops))
        self._held = ""
        self.matched: str | None = None
        """The stop string that was reached; nothing after it is ever sent."""

    def push(self, text: str) -> str:
        """Take the next piece and return what may be sent now; nothing once a stop string was reached."""
        if not self._stops:
            return text
        if self.matched is not None:
            return ""
        self._held += text
        found = self._pattern.search(self._held)
        undecided_from = self._undecided_from()
        # A match is final unless an earlier or a longer one has begun and waits for its end.
        if found and found.start() < undecided_from:
            return self._cut(found)
        sendable, self._held = self._held[:undecided_from], self._held[undecided_from:]
        return sendable

    def flush(self) -> str:
        """Return what was held back, at the end of the text: nothing more can complete a stop string."""
        found = self._pattern.search(self._held) if self._stops else None
        if found:
            return self._cut(found)
        rest, self._held = self._held, ""
        return rest

    def _cut(self, found: re.Match[str]) -> str:
        self.matched = found.group()
        sendable, self._held = self._held[: found.end() if self._include else found.start()], ""
        return sendable

    def _undecided_from(self) -> int:
        """Find the first place from which the held text is the beginning of a stop string, and not yet all of it."""
        length = len(self._held)
        for start in range(max(0, length - len(self._stops[0]) + 1), length):
            tail = self._held[start:]
            if any(len(stop) > len(tail) and stop.startswith(tail) for stop in self._stops):
                return start
        return length
