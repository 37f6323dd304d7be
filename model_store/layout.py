"""Every path on the volume, in one place.

    <root>/
        .lock                                   held by the one fetcher that may write
        fetch_progress.json                     what the fetcher is doing now, for whoever waits
        downloads/<model>/<commit>/             a download that is under way; survives kill -9 and is resumed
        models/<model>/<variant>/
            manifest.json                       written last: its presence makes the variant exist
            <content>/                          the files that the manifest names

A reader opens `manifest.json` and then only files inside the folder it names. A new version gets a new content folder,
so a reader of the old one is never surprised; the old folder is removed after the manifest points elsewhere.
"""

from dataclasses import dataclass
from pathlib import Path

MANIFEST_NAME = "manifest.json"


def folder_name(model_name: str) -> str:
    """Turn a model's name into one path component: `Qwen/Qwen3-0.6B@main` becomes `Qwen--Qwen3-0.6B@main`.

    A folder's path keeps what it begins with, so that `/Qwen/Qwen3-0.6B` is another model.

    Raises:
        ValueError: the name is empty, or would lead outside the volume.
    """
    if not model_name.strip("./ ") or "\0" in model_name:
        raise ValueError(f"MODEL_NAME is {model_name!r}, expected demo, org/name, org/name@revision or a folder's path")
    return model_name.rstrip("/").replace("/", "--")


def plain_name(name: str) -> str:
    """Return a variant's, a commit's or a content folder's name, which is one path component as it is.

    Raises:
        ValueError: it is something else, and would lead elsewhere on the volume, or off it.
    """
    if not name.strip("./ ") or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} names a folder of the volume, expected a plain name")
    return name


@dataclass(frozen=True, slots=True)
class StoreLayout:
    """The paths below one root folder. It computes; it neither reads nor writes."""

    root: Path

    @property
    def lock(self) -> Path:
        return self.root / ".lock"

    @property
    def fetch_progress(self) -> Path:
        return self.root / "fetch_progress.json"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def downloads(self) -> Path:
        return self.root / "downloads"

    def download(self, model_name: str, commit: str) -> Path:
        return self.downloads / folder_name(model_name) / plain_name(commit)

    def variant(self, model_name: str, variant: str) -> Path:
        return self.models / folder_name(model_name) / plain_name(variant)

    def manifest(self, model_name: str, variant: str) -> Path:
        return self.variant(model_name, variant) / MANIFEST_NAME
