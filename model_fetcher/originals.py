"""What happens instead of a conversion that cannot be: the originals are published, for the transformers engine.

Why is noted in their manifest. Without the note, originals only await their conversion.
"""

import logging
from dataclasses import replace

import msgspec

from model_fetcher.errors import OnlyTransformersError
from model_fetcher.file_selection import TOKENIZER, WeightFormat
from model_fetcher.plan import Plan
from model_fetcher.settings import Quantization, Settings
from model_store.layout import StoreLayout
from model_store.manifest import read_manifest, write_manifest

log = logging.getLogger(__name__)


def instead_of_converting(plan: Plan, error: OnlyTransformersError, settings: Settings) -> Plan:
    """Plan for the originals alone, and say what that costs.

    Raises:
        OnlyTransformersError: they cannot be served either: they are pickles, or have no tokenizer.json.
    """
    conversion = plan.conversion
    if conversion is None or conversion.source_format is not WeightFormat.SAFETENSORS:
        raise error
    if TOKENIZER not in {file.path for file in plan.listing.files}:
        raise error
    later = (
        "" if settings.quantization is Quantization.NONE else f"; it compresses to {settings.quantization} on loading"
    )
    # Measured with the shape of Qwen3-0.6B on two cores: 12 of 30 tokens/s with one stream, 21 to 34 of 128 with eight.
    log.warning(
        "convert: %s; %s is published as it is and served by the transformers engine, which on a CPU makes about "
        "two fifths of the tokens per second that OpenVINO makes, and a fifth with many at once%s",
        error.reason,
        plan.model,
        later,
    )
    return replace(plan, download=conversion.originals, conversion=None, unconvertible=error.reason)


def note_why(plan: Plan, layout: StoreLayout) -> None:
    """Note in the published originals that there is no conversion to wait for."""
    path = layout.manifest(plan.model, WeightFormat.SAFETENSORS)
    manifest = read_manifest(path)
    if manifest is None:
        raise FileNotFoundError(f"{path} should have been published by now")
    write_manifest(path, msgspec.structs.replace(manifest, unconvertible=plan.unconvertible))
    log.info("publish: %s as %s, for the transformers engine", plan.model, manifest.variant)
