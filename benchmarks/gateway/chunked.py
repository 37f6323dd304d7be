"""As much of HTTP/1.1 as a load generator needs: where an answer ends, and what is in its chunks."""

from typing import Final

from benchmarks.gateway.dialects import AnswerError

LAST_CHUNK: Final = b"\r\n0\r\n\r\n"
"""What ends a chunked answer; no frame of the dialects has a carriage return in it."""


def content(answer: bytes) -> tuple[bytes, int]:
    """Join the chunks of a whole answer; returns what is in them, and how many there were.

    Raises:
        AnswerError: the answer has another status than 200, or is not chunked.
    """
    head, _, rest = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise AnswerError(f"the answer is {head.splitlines()[0]!r} {rest[:200]!r}, expected 200")
    if b"transfer-encoding: chunked" not in head.lower():
        raise AnswerError("the answer has no chunks, expected a stream")
    chunks = []
    while rest:
        length, _, rest = rest.partition(b"\r\n")
        num_bytes = int(length, 16)
        chunks.append(rest[:num_bytes])
        rest = rest[num_bytes + 2 :]
    return b"".join(chunks), len(chunks) - 1
