"""The commands besides the pipeline: list, verify, remove, export, import. Each works on what is published."""

import shutil
import sys
from pathlib import Path

from model_fetcher.bundle import export_bundle, import_bundle
from model_fetcher.errors import HashMismatchError, NotOnVolumeError
from model_fetcher.lock import writer_lock
from model_fetcher.progress import Progress, human_bytes
from model_fetcher.settings import Settings
from model_store.layout import StoreLayout, folder_name
from model_store.manifest import Manifest, ManifestUnreadableError, check_fully, published_variants, read_manifest
from model_store.variants import find_published


def list_models(layout: StoreLayout) -> None:
    """Print one line for each published variant.

    Raises:
        NotOnVolumeError: there is none.
    """
    found = _published(layout)[0]
    if not found:
        raise NotOnVolumeError(f"no model is published on {layout.root}")
    rows: list[tuple[str, ...]] = [("MODEL", "VARIANT", "SIZE", "LICENCE", "COMMIT", "PUBLISHED")]
    rows += [_row(manifest) for _, manifest in found]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        _say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def verify_all(layout: StoreLayout) -> None:
    """Hash every file of every variant and report what is missing, different, or not part of the model.

    Raises:
        NotOnVolumeError: there is nothing to verify.
        HashMismatchError: something is damaged; everything has been reported by then.
    """
    found, damaged = _published(layout)
    if not found and not damaged:
        raise NotOnVolumeError(f"no model is published on {layout.root}")
    for path, manifest in found:
        name = f"{manifest.model} {manifest.variant}"
        report = check_fully(path.parent / manifest.content, manifest.files)
        for what, files in (("missing", report.missing), ("mismatched", report.mismatched), ("extra", report.extra)):
            for file in files:
                _say(f"{name}: {what}: {file}")
        _say(f"{name}: {'whole' if report.whole else 'damaged'}, {len(manifest.files)} files")
        if not report.whole:
            damaged.append(name)
    if damaged:
        raise HashMismatchError(
            f"{len(damaged)} variants are damaged ({', '.join(damaged)})",
            "start the fetcher with that MODEL_NAME, QUANTIZATION and PERFORMANCE_PROFILE, which repairs the damaged "
            "files alone",
        )


def remove_model(layout: StoreLayout, model_name: str) -> None:
    """Remove every variant of a model, and what was downloaded of it.

    Raises:
        NotOnVolumeError: the volume has nothing of this model.
    """
    name = folder_name(model_name)
    with writer_lock(layout):
        folders = [folder for folder in (layout.models / name, layout.downloads / name) if folder.is_dir()]
        if not folders:
            raise NotOnVolumeError(f"{model_name} is not on {layout.root}")
        # The manifests go first: a reader that comes in between sees no model rather than half of one.
        for manifest in (layout.models / name).glob("*/manifest.json"):
            manifest.unlink()
        for folder in folders:
            shutil.rmtree(folder)
    _say(f"removed {model_name} from {layout.root}")


def export_model(settings: Settings, layout: StoreLayout, target: Path) -> None:
    """Write the variant that the settings ask for into one file.

    Raises:
        NotOnVolumeError: it is not published.
    """
    found = find_published(layout, settings.model_name, settings.quantization, settings.families)
    if found is None:
        wish = f"with QUANTIZATION={settings.quantization}" if settings.converts else "as safetensors"
        raise NotOnVolumeError(f"{settings.model_name} is not published on {layout.root} {wish}")
    with writer_lock(layout), Progress(layout.fetch_progress) as progress:
        export_bundle(*found, target, progress)


def import_model(layout: StoreLayout, bundle: Path) -> None:
    """Publish what a bundle holds, and say which settings load it."""
    with writer_lock(layout), Progress(layout.fetch_progress) as progress:
        manifest = import_bundle(bundle, layout, progress)
    _say(f"imported {manifest.model} {manifest.variant}: set MODEL_NAME={manifest.model} to serve it")


def _published(layout: StoreLayout) -> tuple[list[tuple[Path, Manifest]], list[str]]:
    """Read every manifest; those that cannot be read are told, and returned as names of folders."""
    found: list[tuple[Path, Manifest]] = []
    unreadable: list[str] = []
    for path in published_variants(layout):
        try:
            manifest = read_manifest(path)
        except ManifestUnreadableError as error:
            _say(str(error))
            unreadable.append(path.parent.relative_to(layout.models).as_posix())
            continue
        if manifest is not None:
            found.append((path, manifest))
    return found, unreadable


def _row(manifest: Manifest) -> tuple[str, ...]:
    return (
        manifest.model,
        manifest.variant,
        human_bytes(manifest.total_bytes),
        manifest.licence or "-",
        manifest.commit[:12],
        manifest.published_at,
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
