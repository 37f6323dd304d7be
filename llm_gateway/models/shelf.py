"""The models on the volume as clients are told of them; it reads manifests and small files, in the caller's thread."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from llm_gateway.prompt.chat_template import ChatTemplate, ChatTemplateError
from llm_gateway.stream.reasoning import can_think
from llm_gateway.tool_calls.detect import tool_format
from model_store.layout import StoreLayout
from model_store.manifest import (
    CheckReport,
    Manifest,
    ManifestUnreadableError,
    check_quickly,
    content_folder,
    published_variants,
    read_manifest,
)
from model_store.variants import find_published


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """One published variant of a model."""

    name: str
    variant: str
    """Such as `openvino-int8`."""
    precision: str
    commit: str
    licence: str | None
    digest: str
    """64 hexadecimal digits over the hashes of all its files: the same files have the same digest."""
    size_bytes: int
    published_at: datetime
    architecture: str
    num_parameters: int
    context_tokens: int
    """What the model was made for; what is served of it is in `/health`."""
    file_digests: tuple[tuple[str, int, str], ...]
    """Path, bytes and SHA-256 of each file."""
    template: str | None
    """Source of its chat template."""
    calls_tools: bool
    thinks: bool


class Shelf:
    """All that is published on one volume."""

    def __init__(self, layout: StoreLayout, served: str, quantization: str, families: Sequence[str]) -> None:
        """`families` are the forms of weights that may be served, best first."""
        self._families = families
        self._layout = layout
        self._served = served
        self._quantization = quantization

    def served(self) -> ModelDescription | None:
        """Describe the variant that these settings serve, or None while it is not on the volume."""
        try:
            found = find_published(self._layout, self._served, self._quantization, self._families)
        except ManifestUnreadableError:
            return None  # the phase says so, with what helps
        return None if found is None else _describe(found[0], found[1], self._served)

    def all(self) -> list[ModelDescription]:
        """Describe every variant that is published, the served one first."""
        served = self.served()
        others = [self._read(path) for path in published_variants(self._layout)]
        found = [description for description in others if description is not None and description != served]
        return found if served is None else [served, *found]

    def check(self, description: ModelDescription) -> CheckReport:
        """Compare a published variant's files with its manifest, quickly, as at the start.

        Raises:
            ManifestUnreadableError: the manifest cannot be used any more.
        """
        path = self._layout.manifest(description.name, description.variant)
        manifest = read_manifest(path)
        if manifest is None:
            return CheckReport(missing=(path.name,))
        return check_quickly(content_folder(path, manifest), manifest.files)

    def _read(self, path: Path) -> ModelDescription | None:
        try:
            manifest = read_manifest(path)
        except ManifestUnreadableError:
            return None
        return None if manifest is None else _describe(path, manifest, manifest.model)


def _describe(path: Path, manifest: Manifest, name: str) -> ModelDescription:
    template = _template(content_folder(path, manifest))
    return ModelDescription(
        name=name,
        variant=manifest.variant,
        precision=manifest.precision,
        commit=manifest.commit,
        licence=manifest.licence,
        digest=hashlib.sha256("\n".join(sorted(file.sha256 for file in manifest.files)).encode()).hexdigest(),
        size_bytes=manifest.total_bytes,
        published_at=datetime.fromisoformat(manifest.published_at),
        architecture=manifest.shape.architecture,
        num_parameters=manifest.shape.num_parameters,
        context_tokens=manifest.shape.context_tokens,
        file_digests=tuple((file.path, file.size_bytes, file.sha256) for file in manifest.files),
        template=template,
        calls_tools=tool_format(template) is not None,
        thinks=can_think(template),
    )


def _template(folder: Path) -> str | None:
    try:
        template = ChatTemplate.load(folder)
    except ChatTemplateError:
        return None  # loading the model says what is wrong with it
    return None if template is None else template.source
