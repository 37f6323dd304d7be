"""A model in a folder. Its commit is a digest over its files, so a changed folder is a new commit.

Reading gigabytes at every start would be slow, so the manifest also keeps a stamp (names, sizes, times) by which an
unchanged folder is recognised without reading it.
"""

import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from model_fetcher.errors import UnknownModelError
from model_fetcher.settings import Settings
from model_fetcher.sources.base import Listing, OnBytes, SourceFile
from model_store.manifest import sha256_of

_FRONT_MATTER_LICENCE = re.compile(r"\A---\n(?:.*\n)*?license:\s*([^\n#]+)", re.MULTILINE)


class LocalSource:
    """The files at the top of one folder."""

    def __init__(self, folder: Path, settings: Settings, licence: str | None = None) -> None:
        self._folder = folder
        self._known_licence = licence
        self._model_name = settings.model_name

    def resolve(self) -> Listing:
        """List the folder.

        Raises:
            UnknownModelError: there is no such folder, or no config.json in it.
        """
        if not (self._folder / "config.json").is_file():
            found = "has no config.json" if self._folder.is_dir() else "is not a folder"
            raise UnknownModelError(
                f"MODEL_NAME is {self._model_name!r}, but {self._folder} {found}",
                "point it at a folder with config.json, *.safetensors and tokenizer.json (mounted into the container)",
            )
        files = tuple(
            SourceFile(path=path.name, size_bytes=path.stat().st_size, sha256=sha256_of(path)) for path in self._paths()
        )
        digest = hashlib.sha256("".join(f"{file.path}\0{file.sha256}\n" for file in files).encode())
        return Listing(
            origin=str(self._folder),
            commit=digest.hexdigest()[:40],
            licence=self._licence(),
            files=files,
            stamp=self.stamp(),
        )

    def stamp(self) -> str | None:
        """Digest names, sizes and times without reading; None where the folder is gone."""
        if not self._folder.is_dir():
            return None
        facts = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in self._paths()]
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:40]

    def read_text(self, path: str) -> str:
        return (self._folder / path).read_text(encoding="utf-8")

    def fetch(self, file: SourceFile, partial: Path, on_bytes: OnBytes) -> None:
        try:
            shutil.copyfile(self._folder / file.path, partial)
        except FileNotFoundError as error:
            raise UnknownModelError(
                f"{error.filename} is needed and is not there any more", "bring the folder back, or remove the model"
            ) from error
        on_bytes(file.size_bytes)

    def folder(self) -> Path:
        return self._folder

    def _paths(self) -> Iterator[Path]:
        return (path for path in sorted(self._folder.iterdir()) if path.is_file() and not path.name.startswith("."))

    def _licence(self) -> str | None:
        if self._known_licence is not None:
            return self._known_licence
        card = self._folder / "README.md"
        match = _FRONT_MATTER_LICENCE.search(card.read_text(encoding="utf-8")) if card.is_file() else None
        return match[1].strip().strip("'\"") if match else None
