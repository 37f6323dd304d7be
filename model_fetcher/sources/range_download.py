"""Downloads one file by range requests, going on from the bytes that are there: after a cut, a stall, or kill -9.

huggingface_hub's own downloader (1.21) writes to a name unique to the process and deletes it when the process fails, so
a killed download starts from zero; hf-xet reports neither stalls nor partial files. Hence this loop around the
library's client and headers. Files above 50 GB are only offered through hf-xet; publishers split theirs below that.
"""

import logging
import os
import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx
from huggingface_hub import get_session, hf_raise_for_status
from huggingface_hub.errors import HfHubHTTPError

from model_fetcher.sources.base import OnBytes
from model_fetcher.sources.hub_errors import WrongLengthError, is_passing, wait_asked_for

log = logging.getLogger(__name__)
_CONNECT_TIMEOUT_S = 10.0
_LONGEST_BACKOFF_S = 60.0
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to insist: attempts in a row without a new byte, and seconds without a byte within one."""

    attempts: int
    stall_timeout_s: float


def download(
    url: str, headers: dict[str, str], size_bytes: int, partial: Path, patience: Patience, on_bytes: OnBytes
) -> None:
    """Fill `partial` up to `size_bytes` and flush it to disk.

    Raises:
        httpx.HTTPError, HfHubHTTPError: the last failure, when attempts bring nothing new or cannot help.
    """
    fruitless = 0
    with partial.open("ab") as file:
        if file.tell() > size_bytes:
            file.truncate(0)
        furthest = _length(file)
        while _length(file) < size_bytes:
            try:
                _one_request(url, headers, size_bytes, file, patience, on_bytes)
            except (httpx.HTTPError, HfHubHTTPError) as error:
                # What is fetched again after a start from zero is nothing new, or a server that lies would never end.
                fruitless = 0 if _length(file) > furthest else fruitless + 1
                furthest = max(furthest, _length(file))
                if fruitless >= patience.attempts or not is_passing(error):
                    raise
                _pause(error, fruitless, partial)
        on_bytes(size_bytes)
        file.flush()
        os.fsync(file.fileno())


def _one_request(
    url: str, headers: dict[str, str], size_bytes: int, file: BinaryIO, patience: Patience, on_bytes: OnBytes
) -> None:
    """Ask for the rest of the file and append what comes; if the whole file comes, start over with it."""
    offset = _length(file)
    ranged = {**headers, "Range": f"bytes={offset}-"} if offset else headers
    # A read that waits longer than this raises, so a stalled connection ends here and the next attempt goes on.
    timeout = httpx.Timeout(patience.stall_timeout_s, connect=_CONNECT_TIMEOUT_S)
    with get_session().stream("GET", url, headers=ranged, timeout=timeout) as response, _kept_whole(file):
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            file.truncate(0)
            raise WrongLengthError(f"the server has fewer than {offset} bytes of {url}")
        hf_raise_for_status(response)
        if offset and not _continues_at(offset, size_bytes, response):
            file.truncate(0)
        # Without a block size: httpx would hold back up to a block, and lose it when the connection is cut.
        for block in response.iter_bytes():
            file.write(block)
            on_bytes(min(_length(file), size_bytes))
    if _length(file) > size_bytes:
        file.truncate(0)
    if _length(file) != size_bytes:
        raise WrongLengthError(f"the server ended {url} before or after its {size_bytes} bytes")


def _continues_at(offset: int, size_bytes: int, response: httpx.Response) -> bool:
    """Whether this is the rest of the same file; a server may ignore Range and send the whole (200)."""
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status_code != httpx.codes.PARTIAL_CONTENT or match is None:
        return False
    return int(match[1]) == offset and match[2] in {"*", str(size_bytes)}


@contextmanager
def _kept_whole(file: BinaryIO) -> Iterator[None]:
    """Whatever ends the request, what came so far is handed to the kernel, which survives kill -9."""
    try:
        yield
    finally:
        file.flush()


def _length(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def _pause(error: Exception, fruitless: int, partial: Path) -> None:
    asked_s = wait_asked_for(error)
    backoff_s = min(2.0 ** max(0, fruitless - 1), _LONGEST_BACKOFF_S) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
    pause_s = backoff_s if asked_s is None else asked_s
    reason = f"status {error.response.status_code}" if isinstance(error, HfHubHTTPError) else type(error).__name__
    log.info("fetch: %s, going on in %.0f s (%s)", partial.stem, pause_s, reason)
    time.sleep(pause_s)
