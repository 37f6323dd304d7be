"""Reads a request that offers another protocol as if it offered none, body and all.

Java's HTTP client offers `Upgrade: h2c` with each first request, and so do clients that are built on it. The library's
parser stops behind the headers of such a request, and its body would be missing here and taken for the next one. A
server may ignore the offer (RFC 9110, section 7.8), and this one speaks HTTP/1.1 alone.
"""

from typing import Final, Protocol

import httptools

_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


class Reader(Protocol):
    """Hears what the parser finds, as httptools has it."""

    def on_message_begin(self) -> None: ...
    def on_url(self, url: bytes, /) -> None: ...
    def on_header(self, name: bytes, value: bytes, /) -> None: ...
    def on_headers_complete(self) -> None: ...
    def on_body(self, body: bytes, /) -> None: ...
    def on_message_complete(self) -> None: ...


class _Ear:
    """Passes on what the parser says, but for the end of a message whose body it has not looked at."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.parser: RequestParser | None = None
        self.framing: list[bytes] = []
        """The header lines that say how long the body is."""
        self.head_is_known = False
        self.keeps_alive = True
        self.on_body = reader.on_body

    def on_message_begin(self) -> None:
        if not self.head_is_known:
            self.framing = []
            self._reader.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self.head_is_known:
            self._reader.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head_is_known:
            return
        if name.lower() in _FRAMING:
            self.framing.append(b"%s: %s\r\n" % (name, value))
        self._reader.on_header(name, value)

    def on_headers_complete(self) -> None:
        if not self.head_is_known:
            assert self.parser is not None, "it is set before anything is parsed"
            self.keeps_alive = self.parser.should_keep_alive()
            self._reader.on_headers_complete()

    def on_message_complete(self) -> None:
        assert self.parser is not None, "it is set before anything is parsed"
        if not (self.framing and self.parser.should_upgrade()):
            self._reader.on_message_complete()


class RequestParser(httptools.HttpRequestParser):
    """The library's parser, which goes on behind an offer."""

    def __init__(self, reader: Reader) -> None:
        self._ear = _Ear(reader)
        self._ear.parser = self
        self._begin()

    def _begin(self) -> None:
        super().__init__(self._ear)
        # As uvicorn sets it: a request may follow one that said it was the last, while that one is being answered.
        self.set_dangerous_leniencies(lenient_data_after_close=True)

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]  # uvicorn has nothing else
        """Parse what has come.

        Raises:
            httptools.HttpParserError: it is no HTTP.
        """
        while data:
            try:
                super().feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                data = data[offer.args[0] :]
                self._expect_body()
            else:
                return

    def _expect_body(self) -> None:
        """Begin the message anew, with nothing but its framing, so that the body is read as what it is.

        The parser begins anew, too: behind a request that is the last of its connection it would read nothing more.
        """
        if self._ear.framing:
            self._begin()
            self._ear.head_is_known = True
            last = b"" if self._ear.keeps_alive else b"Connection: close\r\n"
            super().feed_data(b"POST / HTTP/1.1\r\n%s%s\r\n" % (last, b"".join(self._ear.framing)))
            self._ear.head_is_known = False
            self._ear.framing = []
