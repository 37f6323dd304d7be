"""What the volume holds for the settings at hand; it reads manifests and looks at files, and never writes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_store.layout import StoreLayout
from model_store.manifest import BetweenBlocks, CheckReport, Manifest, check_fully, check_quickly, content_folder
from model_store.variants import OPENVINO, SAFETENSORS, find_published


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One published variant and the folder its files are in."""

    manifest: Manifest
    folder: Path

    def check(self, *, fully: bool = False, between_blocks: BetweenBlocks = lambda: None) -> CheckReport:
        """Compare the files with the manifest; blocks on the disk.

        Sizes and times, and the hash of what was touched; `fully`, the hash of everything.
        """
        return (check_fully if fully else check_quickly)(self.folder, self.manifest.files, between_blocks)

    def stamps(self, paths: Iterable[str]) -> list[tuple[int, int] | None]:
        """Size and modification time of some files, None for one that is not there: what changes when one is mended."""
        return [_stamp(self.folder / path) for path in paths]

    @property
    def weights_bytes(self) -> int:
        """The files that end up in memory: IR weights, or those that were published."""
        return sum(file.size_bytes for file in self.manifest.files if _holds_weights(file.path))

    @property
    def family(self) -> str:
        """Which engines can load it."""
        return SAFETENSORS if self.manifest.variant == SAFETENSORS else OPENVINO


def find(
    layout: StoreLayout, model_name: str, quantization: str, families: Sequence[str] = (OPENVINO,)
) -> CatalogEntry | None:
    """Return the variant that these settings ask for, or None while it is not on the volume.

    `families` are what the engines at hand load, in order of preference.

    Raises:
        ManifestUnreadableError: there is a manifest, and it cannot be used.
    """
    found = find_published(layout, model_name, quantization, families)
    return CatalogEntry(found[1], content_folder(*found)) if found else None


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns


def _holds_weights(path: str) -> bool:
    return path == "openvino_model.bin" or path.endswith(".safetensors")
