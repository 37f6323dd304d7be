"""Where weights come from: the hub, a folder, or the demo model that this project ships. The choice is made here."""

from pathlib import Path

from model_fetcher.settings import DEMO, Settings
from model_fetcher.sources.base import Listing, Source, SourceFile
from model_fetcher.sources.demo import DEMO_LICENCE, demo_folder
from model_fetcher.sources.local import LocalSource

__all__ = ["Listing", "Source", "SourceFile", "choose", "local_folder"]


def choose(settings: Settings, revision: str | None = None) -> Source:
    """Pick the source that MODEL_NAME means; `revision` pins a hub repository to a commit already known."""
    folder = local_folder(settings)
    if folder is not None:
        return LocalSource(folder, settings, DEMO_LICENCE if settings.model_name == DEMO else None)
    # Imported here because it brings the hub's client along, which a start on a published model must not pay for.
    from model_fetcher.sources.hub import HubSource

    return HubSource(settings, revision)


def local_folder(settings: Settings) -> Path | None:
    """The folder that MODEL_NAME means, or None where it names a repository on the hub."""
    if settings.model_name == DEMO:
        return demo_folder()
    if settings.model_name.startswith(("/", ".", "~")):
        return Path(settings.model_name).expanduser()
    return None
