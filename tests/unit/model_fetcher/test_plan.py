"""What a run would do, and the refusals that come before it does anything."""

from dataclasses import replace
from pathlib import Path

import pytest

from machine import MemoryFacts
from model_fetcher.errors import DiskTooSmallError, NotEnoughMemoryError
from model_fetcher.file_selection import WeightFormat
from model_fetcher.plan import PARTIAL_SUFFIX, Conversion, Download, Plan, present_bytes, refuse_what_cannot_fit
from model_fetcher.sources import Listing, SourceFile
from model_store.layout import StoreLayout

PLENTY = MemoryFacts(limit_bytes=1 << 40, available_bytes=1 << 40, source="machine")
WEIGHTS = SourceFile(path="model.safetensors", size_bytes=1000)


def plan_of(folder: Path, size_bytes: int = 1000, output_bytes: int = 0, memory_bytes: int = 0) -> Plan:
    listing = Listing("https://hub/org/name", "c0ffee", None, ())
    file = SourceFile(path="model.safetensors", size_bytes=size_bytes)
    return Plan(
        "org/name",
        listing,
        Download(WeightFormat.SAFETENSORS, (file,), folder),
        Conversion("openvino-int8", "int8", output_bytes, memory_bytes, folder),
    )


def test_a_whole_file_counts_as_present(tmp_path: Path) -> None:
    (tmp_path / WEIGHTS.path).write_bytes(bytes(1000))
    assert present_bytes(tmp_path, WEIGHTS) == 1000


def test_a_partial_file_counts_with_what_it_has(tmp_path: Path) -> None:
    (tmp_path / (WEIGHTS.path + PARTIAL_SUFFIX)).write_bytes(bytes(400))
    assert present_bytes(tmp_path, WEIGHTS) == 400


def test_nothing_there_counts_as_nothing(tmp_path: Path) -> None:
    assert present_bytes(tmp_path, WEIGHTS) == 0


def test_what_fits_is_not_refused(tmp_path: Path) -> None:
    refuse_what_cannot_fit(plan_of(tmp_path), StoreLayout(tmp_path), PLENTY)


def test_a_full_disk_is_refused_with_what_is_needed_and_what_is_free(tmp_path: Path) -> None:
    petabyte = 10**15
    with pytest.raises(DiskTooSmallError, match=r"needs 1500\.0 TB more on .* \(1000\.0 TB to fetch, .* are free"):
        refuse_what_cannot_fit(plan_of(tmp_path, petabyte, petabyte // 2), StoreLayout(tmp_path), PLENTY)


def test_what_is_on_the_disk_already_is_not_needed_again(tmp_path: Path) -> None:
    (tmp_path / (WEIGHTS.path + PARTIAL_SUFFIX)).write_bytes(bytes(1000))
    download = plan_of(tmp_path).download
    assert download is not None
    assert download.total_bytes - download.present_bytes == 0


def test_too_little_memory_is_refused_with_both_numbers_and_its_source(tmp_path: Path) -> None:
    memory = MemoryFacts(limit_bytes=2 * 10**9, available_bytes=10**9, source="cgroup limit")
    expected = r"needs about 3\.0 GB of memory, 1\.0 GB are available \(cgroup limit\)"
    with pytest.raises(NotEnoughMemoryError, match=expected):
        refuse_what_cannot_fit(plan_of(tmp_path, memory_bytes=3 * 10**9), StoreLayout(tmp_path), memory)


def test_what_is_not_converted_needs_no_memory(tmp_path: Path) -> None:
    plan = replace(plan_of(tmp_path, memory_bytes=3 * 10**9), conversion=None)
    refuse_what_cannot_fit(plan, StoreLayout(tmp_path), MemoryFacts(limit_bytes=1, available_bytes=1, source="machine"))
