"""How the volume stands for what was asked: published and whole, published but damaged or outdated, or absent.

It reads the volume only: no network and no heavy library, because a start on a published model goes no further.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import msgspec

from model_fetcher.settings import Settings, Verify
from model_fetcher.sources import local_folder
from model_fetcher.sources.local import LocalSource
from model_store.layout import StoreLayout
from model_store.manifest import (
    CheckReport,
    Manifest,
    ManifestUnreadableError,
    check_fully,
    check_quickly,
    content_folder,
    read_manifest,
    write_manifest,
)
from model_store.variants import acceptable_variants, is_meant_for

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """A published variant and what a check found."""

    path: Path
    manifest: Manifest
    report: CheckReport
    outdated: bool

    @property
    def usable(self) -> bool:
        return self.report.whole and not self.outdated

    @property
    def content(self) -> Path:
        return content_folder(self.path, self.manifest)


def look_at_volume(settings: Settings, layout: StoreLayout) -> Standing | None:
    """Find and check the variant that the settings ask for; None where nothing usable as a manifest is there."""
    for variant in acceptable_variants(settings.quantization, settings.families):
        manifest = _readable(settings, layout, variant)
        if manifest is not None and is_meant_for(manifest, settings.families):
            return _check(settings, layout.manifest(settings.model_name, variant), manifest)
    return None


def look_at_variant(settings: Settings, layout: StoreLayout, variant: str) -> Standing | None:
    """Check one variant of the model; None where it is not published, or its manifest cannot be read."""
    manifest = _readable(settings, layout, variant)
    return None if manifest is None else _check(settings, layout.manifest(settings.model_name, variant), manifest)


def _readable(settings: Settings, layout: StoreLayout, variant: str) -> Manifest | None:
    try:
        return read_manifest(layout.manifest(settings.model_name, variant))
    except ManifestUnreadableError as error:
        log.warning("verify: %s", error)
        return None


def _check(settings: Settings, path: Path, manifest: Manifest) -> Standing:
    check = check_fully if settings.verify is Verify.FULL else check_quickly
    report = check(content_folder(path, manifest), manifest.files)
    return Standing(path, manifest, report, outdated=_source_changed(settings, manifest))


def report_extra_files(standing: Standing) -> None:
    """Name what lies in the content folder without being in the manifest; it is left alone and never loaded."""
    for name in standing.report.extra:
        log.warning("verify: %s is not part of the model; it is left alone", standing.content / name)


def refresh_times(standing: Standing) -> None:
    """Note the new modification times of files that were touched but not changed, so later quick checks stay quick.

    A volume that cannot be written keeps its old times: the check then only takes longer.
    """
    entries = tuple(
        msgspec.structs.replace(file, mtime_ns=(standing.content / file.path).stat().st_mtime_ns)
        for file in standing.manifest.files
    )
    if entries == standing.manifest.files:
        return
    try:
        write_manifest(standing.path, msgspec.structs.replace(standing.manifest, files=entries))
    except OSError as error:
        log.debug("verify: the new times of touched files were not noted (%s)", error)


def _source_changed(settings: Settings, manifest: Manifest) -> bool:
    """Whether the folder that a variant was made from has other content now; a folder that is gone changes nothing."""
    folder = local_folder(settings)
    if folder is None:
        return False
    source = LocalSource(folder, settings)
    stamp = source.stamp()
    if stamp is None or stamp == manifest.source_stamp:
        return False
    return source.resolve().commit != manifest.commit
