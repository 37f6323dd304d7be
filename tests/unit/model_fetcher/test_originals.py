"""Serving originals in the place of a conversion: when that is possible, and what is said about it."""

import logging
from pathlib import Path

import pytest

from model_fetcher.errors import CannotConvertError, OnlyTransformersError
from model_fetcher.file_selection import WeightFormat
from model_fetcher.originals import instead_of_converting
from model_fetcher.plan import Conversion, Download, Plan
from model_fetcher.settings import Quantization, Settings
from model_fetcher.sources import Listing, SourceFile

REASON = "the converter knows no text generation for the architecture 'helium'"
ERROR = OnlyTransformersError(REASON)


def plan_of(*names: str, source_format: WeightFormat = WeightFormat.SAFETENSORS) -> Plan:
    files = tuple(SourceFile(path=name, size_bytes=1) for name in names)
    folder = Path("/models/downloads")
    download = Download(source_format, files, folder)
    return Plan(
        "org/name",
        Listing("https://hub/org/name", "c0ffee", None, files),
        download,
        Conversion("openvino-int8", "int8", 1, 1, folder, source_format, originals=download),
    )


def test_the_plan_keeps_the_download_and_drops_the_conversion(caplog: pytest.LogCaptureFixture) -> None:
    plan = plan_of("config.json", "tokenizer.json", "model.safetensors")
    rest = instead_of_converting(plan, ERROR, Settings())
    assert (rest.download, rest.conversion, rest.unconvertible) == (plan.download, None, REASON)
    said = (
        f"convert: {REASON}; org/name is published as it is and served by the transformers engine, which on a CPU "
        "makes about two fifths of the tokens per second that OpenVINO makes, and a fifth with many at once"
    )
    assert caplog.record_tuples == [("model_fetcher.originals", logging.WARNING, said)]


def test_a_quantization_is_said_to_come_later(caplog: pytest.LogCaptureFixture) -> None:
    plan = plan_of("config.json", "tokenizer.json", "model.safetensors")
    instead_of_converting(plan, ERROR, Settings(quantization=Quantization.INT8))
    assert caplog.messages[0].endswith("; it compresses to int8 on loading")


@pytest.mark.parametrize(
    "plan",
    [
        plan_of("config.json", "tokenizer.json", "pytorch_model.bin", source_format=WeightFormat.PICKLE),
        plan_of("config.json", "tokenizer.model", "model.safetensors"),
    ],
    ids=["pickles", "no tokenizer.json"],
)
def test_what_cannot_be_served_either_stays_refused(plan: Plan) -> None:
    with pytest.raises(CannotConvertError, match=f"{REASON}; choose a model of a supported family"):
        instead_of_converting(plan, ERROR, Settings())
