"""The note in which the fetcher says what it is doing now, for whoever waits for the model."""

import os
from pathlib import Path

import msgspec


class ProgressNote(msgspec.Struct, frozen=True, kw_only=True):
    """What is happening. Bytes are zero where a step counts none; the time is in seconds since 1970."""

    step: str
    detail: str
    done_bytes: int
    total_bytes: int
    updated_at: float


def write_note(path: Path, note: ProgressNote) -> None:
    """Replace the note in one step. It is not flushed to disk: it means nothing after a crash."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(msgspec.json.encode(note))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_note(path: Path) -> ProgressNote | None:
    """Read what a fetcher is doing; None where there is no such note, or it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=ProgressNote)
    except (OSError, ValueError, RecursionError):
        return None
