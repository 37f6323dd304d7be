"""The model's files on the volume: waited for until they are published, and checked before they are loaded.

They are looked up anew before each load, because a fetcher may have published others meanwhile and removed these.
"""

import asyncio
import threading
import time
from typing import Final

from llm_gateway.lifecycle import Lifecycle, Phase
from llm_gateway.models.catalog import CatalogEntry, find
from llm_gateway.models.engine_choice import wanted_families
from llm_gateway.settings import Settings
from model_store.layout import StoreLayout
from model_store.manifest import CheckReport, ManifestUnreadableError
from model_store.progress_note import read_note

_FETCH: Final = "`docker compose run --rm model_fetcher`, or `python -m model_fetcher` without Docker"
_LOOK_AGAIN_S: Final = 1.0
_NOTE_IS_FRESH_S: Final = 60.0
_HASH_BYTES_PER_S: Final = 1e9
"""For health's estimate of VERIFY=full: one core, with the instructions that processors have for SHA-256."""


class Weights:
    """What these settings serve, as the volume has it."""

    def __init__(self, settings: Settings, lifecycle: Lifecycle) -> None:
        self._settings = settings
        self._lifecycle = lifecycle
        self._layout = StoreLayout(settings.model_store.expanduser())
        self._checked: CatalogEntry | None = None

    async def whole(self) -> CatalogEntry:
        """Return what is published, once it is as its manifest says; the phases tell what is waited for.

        What was returned before and is still published is not checked again, and costs no phase.

        Raises:
            OSError: the volume cannot be read.
        """
        while self._checked is None or not self._is_in_place(self._checked):
            entry = await self._published()
            report = await self._check(entry)
            if report.whole:
                self._checked = entry
                continue  # hashing takes a while, and it may be of yesterday by now
            damaged = (*report.missing, *report.mismatched)
            self._lifecycle.move_to(
                Phase.WAITING_FOR_WEIGHTS,
                f"{', '.join(damaged)} of {entry.manifest.model} is not as the manifest says; repair it with {_FETCH}",
            )
            await self._until_touched(entry, damaged)
        return self._checked

    async def _published(self) -> CatalogEntry:
        while True:
            try:
                entry = self._find()
            except ManifestUnreadableError as error:
                self._wait(str(error))
            else:
                if entry is not None:
                    return entry
                self._wait(*self._what_is_missing())
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _check(self, entry: CatalogEntry) -> CheckReport:
        fully, cancelled = self._settings.verify == "full", threading.Event()

        def go_on() -> None:
            if cancelled.is_set():
                raise _CheckCancelledError

        self._lifecycle.move_to(Phase.VERIFYING)
        if fully:
            self._lifecycle.expect(1 + entry.manifest.total_bytes / _HASH_BYTES_PER_S)
        try:
            return await asyncio.to_thread(entry.check, fully=fully, between_blocks=go_on)
        finally:
            cancelled.set()  # a cancelled task does not end its thread, and a process that ends waits for its threads

    async def _until_touched(self, entry: CatalogEntry, damaged: tuple[str, ...]) -> None:
        """Return once somebody has changed a damaged file or published others.

        Hashing all of it again before that would only heat the disk.
        """
        before = entry.stamps(damaged)
        while entry.stamps(damaged) == before and self._is_published(entry):  # noqa: ASYNC110 - a volume sends no events
            await asyncio.sleep(_LOOK_AGAIN_S)

    def _is_in_place(self, entry: CatalogEntry) -> bool:
        return self._is_published(entry) and entry.folder.is_dir()

    def _is_published(self, entry: CatalogEntry) -> bool:
        try:
            return self._find() == entry
        except ManifestUnreadableError:
            return False

    def _find(self) -> CatalogEntry | None:
        settings = self._settings
        return find(self._layout, settings.model_name, settings.quantization, wanted_families(settings))

    def _wait(self, why: str, progress: float | None = None) -> None:
        if self._lifecycle.phase is not Phase.WAITING_FOR_WEIGHTS:
            self._lifecycle.move_to(Phase.WAITING_FOR_WEIGHTS)
        self._lifecycle.explain(why, progress=progress)

    def _what_is_missing(self) -> tuple[str, float | None]:
        """Say what is not there yet, and how far whoever fetches it has come."""
        settings, note = self._settings, read_note(self._layout.fetch_progress)
        # Of a note from the future nobody knows the age: the clock was set back, and its writer may be long gone.
        if note is not None and abs(time.time() - note.updated_at) < _NOTE_IS_FRESH_S:
            share = note.done_bytes / note.total_bytes if note.total_bytes else None
            return f"the fetcher is at work: {note.step}", share
        where = f"{self._layout.root} with QUANTIZATION={settings.quantization}"
        return f"{settings.model_name} is not on {where}; fetch it with {_FETCH}", None


class _CheckCancelledError(Exception):
    """Nobody waits for the check any more."""
