"""What the driver is asked and what its answers mean, with a program of that name in the place of the driver's own."""

from pathlib import Path

import pytest

from machine.gpu_memory import GpuCard, GpuUnusableError, gpu_cards


def _driver(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str | None) -> None:
    if script is not None:
        program = folder / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_each_card_has_its_name_and_its_memory_in_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _driver(monkeypatch, tmp_path, 'echo "NVIDIA H200, 143771, 143000"; echo "NVIDIA L4, 23034, 22500"')
    assert gpu_cards() == (
        GpuCard("NVIDIA H200", 143_771 << 20, 143_000 << 20),
        GpuCard("NVIDIA L4", 23_034 << 20, 22_500 << 20),
    )


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (None, "is not there"),
        ("echo 'No devices were found'; exit 6", "ended with 6 and said 'No devices were found'"),
        ("exit 0", "knows no card"),
        ("echo what", "said 'what', expected a name and two sizes"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str | None, sentence: str
) -> None:
    _driver(monkeypatch, tmp_path, script)
    with pytest.raises(GpuUnusableError, match=sentence):
        gpu_cards()
