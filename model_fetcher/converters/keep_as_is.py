"""Publishes a download as it came: originals to convert from, or OpenVINO IR that needs no conversion.

The files are moved, not copied: the download folder becomes the content folder in one step.
"""

import os
from collections.abc import Iterable

from model_fetcher.model_shape import shape_of
from model_fetcher.plan import Download, Plan
from model_fetcher.publish import describe, new_content_folder, publish
from model_store.layout import StoreLayout
from model_store.manifest import Manifest, ManifestFile

PRECISION = "as-published"


def keep(plan: Plan, download: Download, files: Iterable[ManifestFile], layout: StoreLayout) -> Manifest:
    """Publish verified files under the variant that the plan names.

    Raises:
        CannotConvertError: their configuration describes no text-generation model.
    """
    shape = shape_of(download.folder)
    content = new_content_folder(layout, plan.model, download.variant, plan.listing.commit)
    # An empty folder is replaced by the rename in one step, so its name is never taken by anybody else.
    os.rename(download.folder, content)  # noqa: PTH104 - Path.rename promises less about existing folders
    manifest = describe(
        model=plan.model,
        listing=plan.listing,
        variant=download.variant,
        precision=PRECISION,
        content=content.name,
        shape=shape,
        files=files,
    )
    publish(layout, manifest)
    if download.folder.parent.is_dir() and not any(download.folder.parent.iterdir()):
        download.folder.parent.rmdir()
    return manifest
