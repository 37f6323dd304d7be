"""Decides what has to be done, before anything is: which commit, which files, which variant, and whether it can fit.

It changes nothing on the volume. Refusals carry both numbers: what is needed and what there is.
"""

import json
import logging
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from machine import MemoryFacts, available_memory
from model_fetcher.errors import DiskTooSmallError, NotEnoughMemoryError, NothingUsableError
from model_fetcher.file_selection import Selection, WeightFormat, select_files
from model_fetcher.model_shape import read_config, shape_from, source_is_float16, source_is_float32
from model_fetcher.progress import human_bytes
from model_fetcher.settings import Quantization, Settings
from model_fetcher.sources import Listing, Source, SourceFile
from model_fetcher.standing import Standing, look_at_variant
from model_store.layout import MANIFEST_NAME, StoreLayout
from model_store.manifest import Manifest, ManifestUnreadableError, read_manifest

log = logging.getLogger(__name__)
PARTIAL_SUFFIX = ".part"
REPAIR_PREFIX = "repair-"
"""What the names of downloads begin with that mend what is published, file by file."""

_COMPRESSED_SHARE = {Quantization.NONE: 0.0, Quantization.INT8: 0.55, Quantization.INT4: 0.35}
"""Size of the compressed copy as a share of the 16-bit one, which lies beside it until it is done: scales included."""
_SMALL_FILES_BYTES = 24 << 20
"""Tokenizers and graphs that a conversion writes besides the weights."""
_MEMORY_PER_WEIGHT_BYTE = 1.6
"""Memory per byte of 16-bit weights. Tried with the shape of Qwen3-0.6B (1137 MiB) under a limit: INT8 passes at 2450
MiB and is killed at 2200, 16 bits pass at 2200 and are killed at 1900."""
MEMORY_FOR_LIBRARIES_BYTES = 700 << 20
"""What torch, transformers, OpenVINO and NNCF take before any weight is read."""


@dataclass(frozen=True, slots=True)
class Download:
    """Files to bring to the volume, and the variant that they are published as, as they are."""

    variant: WeightFormat
    files: tuple[SourceFile, ...]
    folder: Path

    @property
    def total_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def present_bytes(self) -> int:
        return sum(present_bytes(self.folder, file) for file in self.files)


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a folder of originals becomes, and what that costs."""

    variant: str
    precision: str
    output_bytes: int
    memory_bytes: int
    folder: Path
    """Where the originals are, or will be once they are downloaded."""
    source_format: WeightFormat = WeightFormat.SAFETENSORS
    originals: Download | None = None
    """How to publish the originals instead; None where they are published already."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run is going to do; either part may be absent."""

    model: str
    listing: Listing
    download: Download | None
    conversion: Conversion | None
    damaged_source: Standing | None = None
    """Published originals to convert from, of which some files must be fetched again first."""
    unconvertible: str | None = None
    """Why the originals are published although the profile converts."""


def present_bytes(folder: Path, file: SourceFile) -> int:
    """How much of a file is there: whole, or as the partial file of an earlier attempt."""
    for path in (folder / file.path, folder / (file.path + PARTIAL_SUFFIX)):
        if path.is_file():
            return min(path.stat().st_size, file.size_bytes)
    return 0


def make_plan(settings: Settings, layout: StoreLayout, source: Source) -> Plan:
    """Resolve the source and compare it with the volume; originals that are published already need no network.

    Raises:
        FetchError: the source cannot be had, or holds nothing that may be used.
    """
    published = _published_source(settings, layout) if settings.converts and source.folder() is None else None
    if published is not None:
        return _plan_from_volume(settings, published)
    listing = source.resolve()
    selection = _select(settings, source, listing)
    files = tuple(file for path in selection.paths for file in listing.files if file.path == path)
    folder = layout.download(settings.model_name, listing.commit)
    converts = settings.converts and selection.weight_format is not WeightFormat.OPENVINO
    if source.folder() is None or not converts:
        _take_back_orphan(layout.variant(settings.model_name, selection.weight_format), folder, listing.commit)
        _take_up_other_commit(folder, files)
    download = Download(selection.weight_format, files, folder)
    if not settings.converts:
        _refuse_other_than_text(source)
    if not converts:
        return Plan(settings.model_name, listing, download, conversion=None)
    weights_bytes = sum(file.size_bytes for file in files if file.path in selection.weights)
    conversion = replace(
        _conversion(settings.quantization, source.read_text("config.json"), weights_bytes, source.folder() or folder),
        source_format=selection.weight_format,
        originals=download,
    )
    return Plan(settings.model_name, listing, download if source.folder() is None else None, conversion)


def log_plan(plan: Plan) -> None:
    """Tell what is going to happen, in five lines at most."""
    listing = plan.listing
    log.info("plan: %s from %s, commit %s", plan.model, listing.origin, listing.commit[:12])
    log.info("plan: licence %s", listing.licence or "not stated by the publisher")
    if plan.download:
        total, present = plan.download.total_bytes, plan.download.present_bytes
        log.info(
            "plan: %d files, %s to fetch, %s on the volume already",
            len(plan.download.files),
            human_bytes(total - present),
            human_bytes(present),
        )
    if plan.conversion:
        log.info("plan: convert to %s, about %s", plan.conversion.variant, human_bytes(plan.conversion.output_bytes))
    elif plan.download and plan.download.variant is WeightFormat.SAFETENSORS:
        log.info(
            "plan: nothing is converted; this engine loads the weights as published, and compresses them while loading"
        )


def refuse_what_cannot_fit(plan: Plan, layout: StoreLayout, memory: MemoryFacts | None = None) -> None:
    """Compare needs with what there is.

    Raises:
        DiskTooSmallError, NotEnoughMemoryError: with both numbers.
    """
    missing_bytes = plan.download.total_bytes - plan.download.present_bytes if plan.download else 0
    needed_bytes = missing_bytes + (plan.conversion.output_bytes if plan.conversion else 0)
    free_bytes = shutil.disk_usage(layout.root).free
    if needed_bytes > free_bytes:
        raise DiskTooSmallError(
            f"{plan.model} needs {human_bytes(needed_bytes)} more on {layout.root} "
            f"({human_bytes(missing_bytes)} to fetch, the rest for conversion), {human_bytes(free_bytes)} are free"
        )
    if plan.conversion:
        _refuse_too_little_memory(plan, plan.conversion.memory_bytes, memory or available_memory())


def _refuse_too_little_memory(plan: Plan, needed_bytes: int, memory: MemoryFacts) -> None:
    if needed_bytes > memory.available_bytes:
        raise NotEnoughMemoryError(
            f"converting {plan.model} needs about {human_bytes(needed_bytes)} of memory, "
            f"{human_bytes(memory.available_bytes)} are available ({memory.source})"
        )


def _select(settings: Settings, source: Source, listing: Listing) -> Selection:
    return select_files(
        (file.path for file in listing.files),
        lambda path: _read_index(source, path),
        allow_pickle=settings.allow_pickle,
        trust_remote_code=settings.trust_remote_code,
        only_safetensors=not settings.converts,
    )


def _refuse_other_than_text(source: Source) -> None:
    """Where no converter will ask, see before the download that there will be a shape to publish."""
    shape_from(read_config(source.read_text("config.json")), num_parameters=0)


def _read_index(source: Source, path: str) -> set[str]:
    try:
        return set(json.loads(source.read_text(path))["weight_map"].values())
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise NothingUsableError(f"{path} is not an index of weights", "choose another revision") from error


def _published_source(settings: Settings, layout: StoreLayout) -> Standing | None:
    """Originals from an earlier run: another precision needs no second download."""
    for variant in (WeightFormat.SAFETENSORS, WeightFormat.PICKLE):
        standing = look_at_variant(settings, layout, variant)
        if standing and (variant is WeightFormat.SAFETENSORS or settings.allow_pickle):
            return standing
    return None


def _plan_from_volume(settings: Settings, standing: Standing) -> Plan:
    manifest = standing.manifest
    # What a damaged one says is known after its repair, when the plan is made again.
    damaged = "config.json" in {*standing.report.missing, *standing.report.mismatched}
    return Plan(
        settings.model_name,
        listing_of(manifest),
        download=None,
        conversion=replace(
            _conversion(
                settings.quantization,
                "{}" if damaged else (standing.content / "config.json").read_text(encoding="utf-8"),
                sum(file.size_bytes for file in manifest.files if file.path.endswith((".safetensors", ".bin"))),
                standing.content,
            ),
            source_format=WeightFormat(manifest.variant),
        ),
        damaged_source=None if standing.report.whole else standing,
    )


def listing_of(manifest: Manifest) -> Listing:
    """See a published variant as a source would list it."""
    files = tuple(SourceFile(path=file.path, size_bytes=file.size_bytes, sha256=file.sha256) for file in manifest.files)
    return Listing(manifest.source, manifest.commit, manifest.licence, files, manifest.source_stamp)


def _conversion(wanted: Quantization, config_text: str, weights_bytes: int, folder: Path) -> Conversion:
    config = read_config(config_text)
    half_bytes = weights_bytes // 2 if source_is_float32(config) else weights_bytes
    precision = ("fp16" if source_is_float16(config) else "bf16") if wanted is Quantization.NONE else wanted.value
    return Conversion(
        variant=f"openvino-{precision}",
        precision=precision,
        output_bytes=round(half_bytes * (1 + _COMPRESSED_SHARE[wanted])) + _SMALL_FILES_BYTES,
        memory_bytes=round(half_bytes * _MEMORY_PER_WEIGHT_BYTE) + MEMORY_FOR_LIBRARIES_BYTES,
        folder=folder,
    )


def _take_back_orphan(variant_folder: Path, download_folder: Path, commit: str) -> None:
    """Undo a move whose manifest was never written (a kill in between) or cannot be read any more.

    So nothing is downloaded twice: every file is compared with its publisher's hash before it is published again.
    """
    if download_folder.exists() or _is_readable(variant_folder / MANIFEST_NAME):
        return
    for orphan in sorted(variant_folder.glob(f"{commit[:12]}-*")):
        download_folder.parent.mkdir(parents=True, exist_ok=True)
        orphan.rename(download_folder)
        return


def _take_up_other_commit(folder: Path, files: tuple[SourceFile, ...]) -> None:
    """Go on from what came of another commit, where nothing has come of this one yet.

    Few commits change the weights. Every file is compared with its publisher's hash, and what differs is fetched again;
    what this commit does not have is removed, because the folder becomes the published one.
    """
    if folder.exists() or not folder.parent.is_dir():
        return
    others = [path for path in folder.parent.iterdir() if path.is_dir() and not path.name.startswith(REPAIR_PREFIX)]
    if not others:
        return
    other = max(others, key=lambda path: path.stat().st_mtime_ns)
    wanted = {other / (file.path + suffix) for file in files for suffix in ("", PARTIAL_SUFFIX)}
    for path in [path for path in other.rglob("*") if path.is_file() and path not in wanted]:
        path.unlink()
    other.rename(folder)


def _is_readable(manifest_path: Path) -> bool:
    try:
        return read_manifest(manifest_path) is not None
    except ManifestUnreadableError:
        return False
