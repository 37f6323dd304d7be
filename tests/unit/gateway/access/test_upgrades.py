"""A request that offers another protocol is read as any other, however it is cut into segments."""

import httptools
import pytest

from llm_gateway.access.upgrades import RequestParser

OFFER = b"Host: here\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: here\r\n\r\n"
BODIES = {
    "with a length": b"Content-Length: 5\r\n\r\nhello",
    "in chunks": b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
}
NO_BODIES = {"none": b"\r\n", "of no length": b"Content-Length: 0\r\n\r\n"}


class Requests:
    """Collects method, target, body and number of headers of whole requests."""

    def __init__(self) -> None:
        self.whole: list[tuple[bytes, bytes, bytes, int]] = []
        self.parser = RequestParser(self)

    def on_message_begin(self) -> None:
        self._url, self._body, self._num_headers = b"", b"", 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        assert name.lower() in OFFER.lower() or name.startswith((b"Content", b"Transfer")), value
        self._num_headers += 1

    def on_headers_complete(self) -> None:
        self._method = self.parser.get_method()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.whole.append((self._method, self._url, self._body, self._num_headers))


def _read(wire: bytes, segment_bytes: int) -> Requests:
    requests = Requests()
    for start in range(0, len(wire), segment_bytes):
        requests.parser.feed_data(wire[start : start + segment_bytes])
    return requests


@pytest.mark.parametrize("segment_bytes", [1, 2, 7, 1000])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_the_body_belongs_to_the_request_and_the_next_request_is_the_next(body: bytes, segment_bytes: int) -> None:
    requests = _read(2 * (b"POST /first HTTP/1.1\r\n" + OFFER + body) + NEXT, segment_bytes)
    assert requests.whole == 2 * [(b"POST", b"/first", b"hello", 5)] + [(b"GET", b"/next", b"", 1)]


@pytest.mark.parametrize("segment_bytes", [1, 2, 7, 1000])
@pytest.mark.parametrize("body", NO_BODIES.values(), ids=NO_BODIES)
def test_a_request_without_a_body_ends_once(body: bytes, segment_bytes: int) -> None:
    requests = _read(b"GET /first HTTP/1.1\r\n" + OFFER + body + NEXT, segment_bytes)
    assert [whole[:3] for whole in requests.whole] == [(b"GET", b"/first", b""), (b"GET", b"/next", b"")]


@pytest.mark.parametrize(
    "body", [b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"Content-Length: x\r\n\r\n"]
)
def test_a_body_that_is_framed_in_two_ways_or_in_none_is_no_http(body: bytes) -> None:
    with pytest.raises(httptools.HttpParserError):
        _read(b"POST /first HTTP/1.1\r\n" + OFFER + body, 1000)


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("segment_bytes", [1, 2, 7, 1000])
def test_the_last_request_of_a_connection_has_its_body_too(version: bytes, segment_bytes: int) -> None:
    offer = OFFER.replace(b"Upgrade, ", b"close, Upgrade, ")
    requests = _read(b"POST /last HTTP/%s\r\n" % version + offer + BODIES["with a length"], segment_bytes)
    assert requests.whole == [(b"POST", b"/last", b"hello", 5)]
