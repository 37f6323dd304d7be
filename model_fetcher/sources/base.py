"""What every source offers, and the shapes it speaks in. It knows neither the volume nor the network."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

OnBytes = Callable[[int], None]
"""Called with how many bytes of the file are there by now, those of earlier attempts included."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file as its publisher describes it, with one of the hashes; a local file's was computed here."""

    path: str
    size_bytes: int
    sha256: str | None = None
    git_sha1: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything a source holds at one commit."""

    origin: str
    """For people: where it came from, such as `https://huggingface.co/org/name` or a folder."""
    commit: str
    licence: str | None
    files: tuple[SourceFile, ...]
    stamp: str | None = None
    """A digest of names, sizes and times, where the source is a folder; None where the commit alone says all."""


class Source(Protocol):
    """A place that weights come from."""

    def resolve(self) -> Listing:
        """Fix the commit and list its files."""

    def read_text(self, path: str) -> str:
        """Read one small file (configuration, index) at the resolved commit."""

    def fetch(self, file: SourceFile, partial: Path, on_bytes: OnBytes) -> None:
        """Bring a file to `partial`, going on from what is there; returns when it has its full size."""

    def folder(self) -> Path | None:
        """The folder to convert from without copying, or None where files must be fetched first."""
