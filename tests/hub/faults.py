"""What can go wrong while a file is sent. Each fault happens to one request and is then spent."""

from dataclasses import dataclass, field
from threading import Event


@dataclass(frozen=True)
class Cut:
    """Close the connection after so many bytes of the body."""

    after_bytes: int


@dataclass(frozen=True)
class Stall:
    """Send so many bytes, say so, and then nothing until the client gives up or the hub closes."""

    after_bytes: int
    reached: Event = field(default_factory=Event)


@dataclass(frozen=True)
class WrongByte:
    """Flip the byte at this offset of what is sent."""

    at: int


@dataclass(frozen=True)
class Status:
    """Refuse with a status, such as 500, or 429 with Retry-After."""

    code: int
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class IgnoreRange:
    """Answer a range request with the whole file and status 200, as some proxies do."""


Fault = Cut | Stall | WrongByte | Status | IgnoreRange
