"""The pipeline itself: plan, fetch, verify, convert, publish; or nothing at all, when the volume is as it should be."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from model_fetcher import sources
from model_fetcher.convert import convert, refuse_unknown_architecture
from model_fetcher.converters.keep_as_is import PRECISION, keep
from model_fetcher.converters.messages import Result
from model_fetcher.errors import OnlyTransformersError
from model_fetcher.fetch import fetch, verify
from model_fetcher.file_selection import WeightFormat, refuse_without_tokenizer
from model_fetcher.lock import writer_lock, writer_lock_if_free
from model_fetcher.model_shape import shape_of
from model_fetcher.originals import instead_of_converting, note_why
from model_fetcher.plan import Conversion, Download, Plan, log_plan, make_plan, refuse_what_cannot_fit
from model_fetcher.progress import Progress
from model_fetcher.publish import describe, new_content_folder, publish, remove_unpublished, remove_variant
from model_fetcher.repair import mend_from, refetch
from model_fetcher.settings import Settings
from model_fetcher.standing import Standing, look_at_volume, refresh_times, report_extra_files
from model_fetcher.sweep import CONVERTED, sweep, sweep_if_alone
from model_store.layout import StoreLayout
from model_store.manifest import Manifest, content_folder, describe_files

log = logging.getLogger(__name__)
_ORIGINALS = (WeightFormat.SAFETENSORS, WeightFormat.PICKLE)


def prepare(settings: Settings, layout: StoreLayout) -> None:
    """Bring the volume to where the settings want it.

    Raises:
        FetchError: it cannot be done; the message says why and what to do.
    """
    ready = _ready(settings, layout)
    if ready is not None:
        sweep_if_alone(layout)
        if not settings.keep_source and ready.variant.startswith(CONVERTED):
            _drop_source_if_alone(ready.model, layout)
        return
    with writer_lock(layout) as lock, Progress(layout.fetch_progress) as progress:
        if _ready(settings, layout) is not None:  # another fetcher did the work while this one waited
            return
        sweep(layout)
        standing = look_at_volume(settings, layout)
        source = sources.choose(settings, _pinned_commit(standing))
        if standing is not None and not standing.outdated and standing.manifest.precision == PRECISION:
            refetch(standing, source, layout, progress)
            return

        # Pre-flight. No impact yet.
        plan = make_plan(settings, layout, source)
        log_plan(plan)
        try:
            refuse_unknown_architecture(plan, layout, source, settings, progress)
        except OnlyTransformersError as error:
            plan = instead_of_converting(plan, error, settings)
        refuse_what_cannot_fit(plan, layout)

        # From here on the volume changes.
        if plan.damaged_source is not None:
            named = sources.choose(settings, plan.damaged_source.manifest.commit)
            refetch(plan.damaged_source, named, layout, progress)
            plan = make_plan(settings, layout, named)
        _Run(settings, layout, lock, progress, source, plan, standing).carry_out()


@dataclass(frozen=True, slots=True)
class _Run:
    """The steps that change the volume, with what all of them need."""

    settings: Settings
    layout: StoreLayout
    lock: int
    progress: Progress
    source: sources.Source
    plan: Plan
    standing: Standing | None
    """What is published now and not usable: damaged, or made from an older source."""

    def carry_out(self) -> None:
        """Publish what the plan names, or the originals alone, where the converter turns out not to know them."""
        conversion = self.plan.conversion
        fetched = self.bring(self.plan.download) if self.plan.download else None
        if conversion is None:
            if self.plan.unconvertible is not None:
                note_why(self.plan, self.layout)
            self._remove_superseded(self.plan.download.variant if self.plan.download else WeightFormat.SAFETENSORS)
            return
        try:
            self.convert(conversion, fetched or conversion.folder)
        except OnlyTransformersError as error:
            rest = instead_of_converting(self.plan, error, self.settings)
            rest = replace(rest, download=None) if fetched else rest
            refuse_what_cannot_fit(rest, self.layout)
            replace(self, plan=rest).carry_out()
            remove_variant(self.layout.variant(self.plan.model, conversion.variant))

    def bring(self, download: Download) -> Path:
        """Fetch, verify, and publish as it came; returns the published content."""
        fetch(download, self.source, self.progress)
        verification = verify(download, self.source, self.progress)
        manifest = keep(self.plan, download, verification.files, self.layout)
        log.info("publish: %s as %s, licence %s", manifest.model, manifest.variant, manifest.licence or "not stated")
        return content_folder(self.layout.manifest(manifest.model, manifest.variant), manifest)

    def convert(self, conversion: Conversion, originals: Path) -> None:
        """Convert beside what is published; only a result that agrees with its source replaces it."""
        output = new_content_folder(self.layout, self.plan.model, conversion.variant, self.plan.listing.commit)
        try:
            result = convert(conversion, originals, output, self.settings, self.progress, self.lock)
            mended = self.standing is not None and not self.standing.outdated and mend_from(output, self.standing)
            if not mended:
                _log_agreement(self._publish(conversion, output, result))
        except BaseException:
            remove_unpublished(output.parent, keep=self._published_content(output.parent))
            raise
        self._remove_superseded(conversion.variant)
        if not self.settings.keep_source:
            _drop_source(self.plan.model, self.layout)

    def _published_content(self, variant_folder: Path) -> str | None:
        if self.standing is None or self.standing.path.parent != variant_folder:
            return None
        return self.standing.manifest.content

    def _remove_superseded(self, variant: str) -> None:
        """Remove what was published under another variant and answered the same precision (bf16 after IR, say)."""
        if self.standing is not None and self.standing.manifest.variant != variant:
            remove_variant(self.standing.path.parent)

    def _publish(self, conversion: Conversion, output: Path, result: Result) -> Manifest:
        manifest = describe(
            model=self.plan.model,
            listing=self.plan.listing,
            variant=conversion.variant,
            precision=conversion.precision,
            content=output.name,
            shape=shape_of(output, result.num_parameters),
            files=describe_files(output),
            agreement=result.agreement,
        )
        publish(self.layout, manifest)
        return manifest


def _ready(settings: Settings, layout: StoreLayout) -> Manifest | None:
    """Find the variant that is published and whole, and say so; reads the volume only."""
    standing = look_at_volume(settings, layout)
    if standing is None:
        return None
    for name in (*standing.report.missing, *standing.report.mismatched):
        log.warning("verify: %s is missing or damaged and will be repaired", standing.content / name)
    if standing.outdated:
        log.info("plan: the source folder has changed since it was converted")
    if not standing.usable:
        return None
    if not settings.converts:
        refuse_without_tokenizer(file.path for file in standing.manifest.files)
    report_extra_files(standing)
    refresh_times(standing)
    manifest = standing.manifest
    log.info(
        "ready: %s as %s, commit %s, licence %s, %d files verified (%s)",
        manifest.model,
        manifest.variant,
        manifest.commit[:12],
        manifest.licence or "not stated",
        len(manifest.files),
        settings.verify,
    )
    if settings.converts and manifest.unconvertible is not None:
        log.info("ready: it is served by the transformers engine, because %s", manifest.unconvertible)
    return manifest


def _pinned_commit(standing: Standing | None) -> str | None:
    """A repair takes the commit that was published; whatever the branch has moved to since is another model."""
    return standing.manifest.commit if standing is not None else None


def _log_agreement(manifest: Manifest) -> None:
    agreement = manifest.agreement
    if agreement is None:
        return
    log.info(
        "publish: %s as %s, licence %s; same next token as the source at %.1f %% of %d positions, logits %.4f apart",
        manifest.model,
        manifest.variant,
        manifest.licence or "not stated",
        100 * agreement.same_next_token,
        agreement.num_positions,
        agreement.mean_logit_distance,
    )


def _drop_source_if_alone(model: str, layout: StoreLayout) -> None:
    """Drop originals that an earlier run kept, unless another fetcher is at work, or the volume cannot be written."""
    if not any(layout.variant(model, variant).is_dir() for variant in _ORIGINALS):
        return
    try:
        with writer_lock_if_free(layout) as alone:
            if alone:
                _drop_source(model, layout)
    except OSError as error:
        log.warning("publish: the originals cannot be removed, as KEEP_SOURCE=false asks (%s)", error)


def _drop_source(model: str, layout: StoreLayout) -> None:
    for variant in _ORIGINALS:
        if remove_variant(layout.variant(model, variant)):
            log.info("publish: the originals (%s) were removed, as KEEP_SOURCE=false asks", variant)
