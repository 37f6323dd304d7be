"""A GPU is what has a device node here, not what the host's driver describes."""

from pathlib import Path

from machine import look
from machine.gpu import find_gpu

DESCRIPTION = "Model: \t\t NVIDIA L4\nIRQ:   \t\t 11\n"


def make_driver(root: Path) -> None:
    card = root / "proc/driver/nvidia/gpus/0000:00:03.0"
    card.mkdir(parents=True)
    (card / "information").write_text(DESCRIPTION, encoding="utf-8")


def test_a_device_node_makes_a_gpu_available(tmp_path: Path) -> None:
    make_driver(tmp_path)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidia0").touch()

    facts = find_gpu(tmp_path)

    assert (facts.available, facts.name) == (True, "NVIDIA L4")


def test_a_container_without_the_device_sees_the_driver_but_has_no_gpu(tmp_path: Path) -> None:
    make_driver(tmp_path)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidiactl").touch()

    facts = find_gpu(tmp_path)

    assert (facts.available, facts.name) == (False, "NVIDIA L4")
    assert "/dev/nvidia0" in facts.looked_for


def test_an_empty_machine_has_no_gpu(tmp_path: Path) -> None:
    facts = look(tmp_path).gpu

    assert (facts.available, facts.name) == (False, None)
