"""Find the end of a JSON object in text that comes in pieces, looking at each character once."""

import re

_STRUCTURE = re.compile(r'["{}\[\]]')
_IN_STRING = re.compile(r'["\\]')


class JsonScanner:
    """The scanner of one object or array. It counts brackets outside of strings and judges nothing else."""

    def __init__(self) -> None:
        self._position = 0
        self._depth = 0
        self._in_string = False

    def end(self, text: str) -> int | None:
        """Return where the value ends (exclusive), or None while it goes on.

        `text` begins with the value's first bracket, and each time with what it was the last time.
        """
        while found := (_IN_STRING if self._in_string else _STRUCTURE).search(text, self._position):
            self._position = found.end()
            character = found.group()
            if character == "\\":
                if self._position == len(text):
                    # What is escaped is still to come: look at the backslash again with it.
                    self._position -= 1
                    return None
                self._position += 1
            elif character == '"':
                self._in_string = not self._in_string
            else:
                self._depth += 1 if character in "{[" else -1
                if self._depth == 0:
                    return self._position
        self._position = len(text)
        return None
