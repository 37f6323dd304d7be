"""The manifest: what one variant of a model is made of, file by file, with hashes; read, write, check.

It is written last and atomically, so a variant with a manifest is whole, and one without does not exist. Its last line
is its own hash, because nothing else would tell that a digit of a size or of the context has changed.
Checking returns a report and never raises: what to do about a damaged file is the caller's decision.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec

from model_store.layout import MANIFEST_NAME, StoreLayout

FORMAT_VERSION = 1
_READ_BYTES = 1 << 20
_SEAL = re.compile(rb',\n  "sha256_of_the_above": "([0-9a-f]{64})"\n}\n')
"""The last member. It is found in the text and not among the fields, so that a later version may add some."""

BetweenBlocks: TypeAlias = Callable[[], None]
"""Called at each block that is hashed, of which a large file has very many; what it raises ends the work."""


class ManifestFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the content folder; `path` is relative to it, with forward slashes."""

    path: str
    size_bytes: Annotated[int, msgspec.Meta(ge=0)]
    sha256: str
    mtime_ns: int


class ModelShape(msgspec.Struct, frozen=True, kw_only=True):
    """What a memory plan and a context limit need to know of a model, so that readers parse no configuration."""

    architecture: str
    context_tokens: int
    vocabulary_tokens: int
    num_layers: int
    num_kv_heads: int
    head_size: int
    num_parameters: int


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How closely a converted model follows its source, measured on a few prompts."""

    num_prompts: int
    num_positions: int
    same_next_token: float
    """Share of positions at which both rank the same token first, 0 to 1."""
    mean_logit_distance: float
    """Mean over positions of the root-mean-square difference of the logits, divided by the source logits' spread."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One variant of one model, as published."""

    format_version: int = FORMAT_VERSION
    model: str
    source: str
    commit: str
    source_stamp: str | None = None
    """Digest of names, sizes and times where the source is a folder: recognises it unchanged without reading it."""
    licence: str | None
    variant: str
    precision: str
    content: str
    shape: ModelShape
    files: tuple[ManifestFile, ...]
    agreement: Agreement | None = None
    unconvertible: str | None = None
    """Why these originals cannot be converted. Without it, originals that lie beside no conversion still await one."""
    made_by: dict[str, str] = {}
    published_at: str

    @property
    def total_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


class ManifestUnreadableError(Exception):
    """The manifest exists but cannot be used; the message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found; everything empty means that the variant is whole."""

    missing: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        return not self.missing and not self.mismatched


def read_manifest(path: Path) -> Manifest | None:
    """Read a manifest, or return None where there is none.

    Raises:
        ManifestUnreadableError: the file is truncated, altered, not JSON, of another shape, or of a newer format.
    """
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return parse_manifest(raw, str(path))


def parse_manifest(raw: bytes, where: str) -> Manifest:
    """Check and decode a manifest's text; `where` names it in error messages.

    One that has no hash of its own, as bundles of earlier versions, is taken as it is.

    Raises:
        ManifestUnreadableError: it is truncated, altered, not JSON, of another shape, or of a newer format.
    """
    if _is_altered(raw):
        raise ManifestUnreadableError(f"{where} was altered after it was written; run the fetcher again")
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (ValueError, RecursionError) as error:  # not UTF-8, or nested too deep, among others
        raise ManifestUnreadableError(f"{where} is not a manifest ({error}); run the fetcher again") from error
    if manifest.format_version != FORMAT_VERSION:
        raise ManifestUnreadableError(
            f"{where} has format {manifest.format_version}, this version reads {FORMAT_VERSION}; run the fetcher again"
        )
    unsafe = [
        name
        for name in (manifest.content, manifest.commit, *(file.path for file in manifest.files))
        if _leads_outside(name)
    ]
    if unsafe:
        raise ManifestUnreadableError(
            f"{where} names {unsafe[0]!r}, which is not inside its folder; remove the variant"
        )
    return manifest


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write atomically: a temporary name, flushed to disk, then renamed over the old manifest."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    encoded = _sealed(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    try:
        with temporary.open("wb") as file:
            file.write(encoded)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _sealed(encoded: bytes) -> bytes:
    above = encoded.removesuffix(b"\n}")
    return above + b',\n  "sha256_of_the_above": "%s"\n}\n' % hashlib.sha256(above).hexdigest().encode()


def _is_altered(raw: bytes) -> bool:
    seal = _SEAL.search(raw)
    if seal is None:
        return False
    return seal.end() != len(raw) or hashlib.sha256(raw[: seal.start()]).hexdigest().encode() != seal[1]


def content_folder(manifest_path: Path, manifest: Manifest) -> Path:
    return manifest_path.parent / manifest.content


def describe_files(folder: Path) -> tuple[ManifestFile, ...]:
    """Hash every regular file below a folder, in a stable order."""
    return tuple(_describe(folder, path) for path in sorted(_files_below(folder)))


def check_quickly(
    folder: Path, files: Iterable[ManifestFile], between_blocks: BetweenBlocks = lambda: None
) -> CheckReport:
    """Compare sizes and modification times; a file whose time alone differs is settled by its hash."""
    return _check(folder, tuple(files), between_blocks, trust_mtime=True)


def check_fully(
    folder: Path, files: Iterable[ManifestFile], between_blocks: BetweenBlocks = lambda: None
) -> CheckReport:
    """Compare sizes and hashes of everything."""
    return _check(folder, tuple(files), between_blocks, trust_mtime=False)


def published_variants(layout: StoreLayout) -> Iterator[Path]:
    """Yield the path of every manifest on the volume."""
    yield from sorted(layout.models.glob(f"*/*/{MANIFEST_NAME}"))


def sha256_of(path: Path, between_blocks: BetweenBlocks = lambda: None) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            between_blocks()
            digest.update(block)
    return digest.hexdigest()


def _describe(folder: Path, path: Path) -> ManifestFile:
    status = path.stat()
    return ManifestFile(
        path=path.relative_to(folder).as_posix(),
        size_bytes=status.st_size,
        sha256=sha256_of(path),
        mtime_ns=status.st_mtime_ns,
    )


def _check(
    folder: Path, files: tuple[ManifestFile, ...], between_blocks: BetweenBlocks, *, trust_mtime: bool
) -> CheckReport:
    expected = {file.path for file in files}
    present = {path.relative_to(folder).as_posix() for path in _files_below(folder)}
    return CheckReport(
        missing=tuple(sorted(expected - present)),
        mismatched=tuple(
            file.path
            for file in files
            if file.path in present and not _matches(folder / file.path, file, between_blocks, trust_mtime)
        ),
        extra=tuple(sorted(present - expected)),
    )


def _matches(path: Path, expected: ManifestFile, between_blocks: BetweenBlocks, trust_mtime: bool) -> bool:
    try:
        status = path.stat()
        if status.st_size != expected.size_bytes:
            return False
        if trust_mtime and status.st_mtime_ns == expected.mtime_ns:
            return True
        return sha256_of(path, between_blocks) == expected.sha256
    except FileNotFoundError:
        return False  # whoever publishes something newer removes the old files, also from under those who read them


def _files_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _leads_outside(name: str) -> bool:
    return name.startswith("/") or ".." in name.split("/") or not name.strip("./") or "\0" in name
