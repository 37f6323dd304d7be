"""Profiles are read from the files beside the loader, and `auto` gives its reason."""

from pathlib import Path

import pytest

from machine import CpuFacts, GpuFacts, MachineFacts, MemoryFacts
from profiles import PROFILE_NAMES, read_profile, resolve

GIB = 1 << 30


def a_machine(memory_gib: float = 16, *, sixteen_bit: bool = True, gpu: bool = False) -> MachineFacts:
    limit_bytes = int(memory_gib * GIB)
    return MachineFacts(
        cpu=CpuFacts(threads=2, affinity=2, quota=None, has_16_bit_arithmetic=sixteen_bit, model_name="Old Xeon"),
        memory=MemoryFacts(limit_bytes, limit_bytes, "machine"),
        gpu=GpuFacts(available=gpu, name="NVIDIA L4" if gpu else None, looked_for="/dev/nvidia0"),
    )


def write_profile(folder: Path, content: str) -> Path:
    (folder / "vm_optimized.env").write_text(content, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", PROFILE_NAMES)
def test_every_profile_can_be_read_and_sets_the_precision_of_the_weights(name: str) -> None:
    assert read_profile(name)["QUANTIZATION"] in {"none", "int8"}


def test_auto_counts_the_gateways_limit_in_a_service_that_does_not_live_under_it() -> None:
    without, within = resolve("auto", a_machine(16)), resolve("auto", a_machine(16), gateway_limit_bytes=4 * GIB)

    assert (without.name, within.name) == ("cpu_optimized", "vm_optimized")
    assert "4.0 GiB" in within.reason


@pytest.mark.parametrize("name", PROFILE_NAMES)
def test_every_key_of_every_profile_is_explained_in_the_readme(name: str) -> None:
    readme = (Path(__file__).parents[3] / "profiles/README.md").read_text(encoding="utf-8")

    assert [key for key in read_profile(name) if f"`{key}`" not in readme] == []


def test_a_wrong_name_is_answered_with_the_choices() -> None:
    with pytest.raises(ValueError, match="'fast', expected one of cpu_optimized, vm_optimized, gpu_accelerated, auto"):
        read_profile("fast")
    with pytest.raises(ValueError, match="expected one of cpu_optimized"):
        resolve("fast", a_machine())


def test_comments_quotes_and_empty_values_are_read_as_compose_reads_them(tmp_path: Path) -> None:
    folder = write_profile(tmp_path, "# a\n\nA=1 # why\nB='x # y' # z\nC=\nD = two words \nE=a#b\nF=\"\"\nG= # none\n")

    assert read_profile("vm_optimized", folder) == {"A": "1", "B": "x # y", "D": "two words", "E": "a#b"}


def test_a_line_that_is_no_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"vm_optimized\.env line 2 is 'MAX_NUM_SEQS 4', expected KEY=value"):
        read_profile("vm_optimized", write_profile(tmp_path, "A=1\nMAX_NUM_SEQS 4\n"))


def test_a_profile_whose_file_is_gone_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"restore profiles/vm_optimized\.env"):
        read_profile("vm_optimized", tmp_path)


def test_auto_takes_the_small_profile_on_a_small_machine() -> None:
    choice = resolve("auto", a_machine(memory_gib=4))

    assert choice.name == "vm_optimized"
    assert choice.reason == "4.0 GiB of memory are allowed, which is under 8 GiB"


def test_auto_takes_the_small_profile_without_16_bit_arithmetic() -> None:
    choice = resolve("auto", a_machine(sixteen_bit=False))

    assert choice.name == "vm_optimized"
    assert "Old Xeon has no 16-bit arithmetic" in choice.reason


def test_auto_takes_full_precision_where_there_is_room_and_mentions_an_idle_gpu() -> None:
    choice = resolve("auto", a_machine(gpu=True))

    assert choice.name == "cpu_optimized"
    assert "the GPU (NVIDIA L4) is left alone" in choice.reason


def test_auto_takes_the_gpu_where_there_is_one_and_an_engine_for_it() -> None:
    choice = resolve("auto", a_machine(memory_gib=4, gpu=True), gpu_image=True)

    assert choice.name == "gpu_accelerated"
    assert "NVIDIA L4" in choice.reason


def test_auto_falls_to_a_profile_for_processors_where_there_is_no_gpu_and_says_what_it_looked_for() -> None:
    choice = resolve("auto", a_machine(), gpu_image=True)

    assert choice.name == "cpu_optimized"
    assert "no GPU (/dev/nvidia0" in choice.reason


def test_a_named_profile_stays_what_it_is() -> None:
    assert resolve("vm_optimized", a_machine(memory_gib=64)).name == "vm_optimized"
