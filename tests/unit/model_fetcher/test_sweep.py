"""What writers that died have left behind, and what is none of it."""

import os
from pathlib import Path

import msgspec
import pytest

from model_fetcher.lock import writer_lock
from model_fetcher.sweep import leftovers, sweep_if_alone
from model_store.layout import StoreLayout
from model_store.manifest import write_manifest
from tests.support.manifests import CONVERTED


@pytest.fixture
def layout(tmp_path: Path) -> StoreLayout:
    """A volume with one published conversion."""
    layout = StoreLayout(tmp_path)
    _content(layout, "openvino-int8", "c0ffee-2")
    manifest = msgspec.structs.replace(CONVERTED, content="c0ffee-2")
    write_manifest(layout.manifest("org/name", "openvino-int8"), manifest)
    return layout


def _content(layout: StoreLayout, variant: str, name: str) -> Path:
    folder = layout.variant("org/name", variant) / name
    folder.mkdir(parents=True)
    (folder / "weights.bin").write_bytes(b"weights")
    return folder


def _files(layout: StoreLayout) -> set[str]:
    return {path.relative_to(layout.root).as_posix() for path in layout.root.rglob("*") if path.name != ".lock"}


def test_a_volume_that_nobody_left_in_the_middle_is_left_alone(layout: StoreLayout) -> None:
    before = _files(layout)
    sweep_if_alone(layout)
    assert _files(layout) == before
    assert not layout.lock.exists(), "nothing was to be done, so nothing was written"


def test_what_a_killed_writer_left_is_removed(layout: StoreLayout) -> None:
    before = _files(layout)
    _content(layout, "openvino-int8", "c0ffee-1")
    _content(layout, "openvino-int4", "c0ffee-1")
    (layout.variant("org/name", "openvino-int8") / ".manifest.json.4711").write_text("{", encoding="utf-8")
    (layout.root / ".fetch_progress.json.4711").write_text("{", encoding="utf-8")
    layout.fetch_progress.write_text("{}", encoding="utf-8")
    (layout.downloads / "org--name").mkdir(parents=True)
    sweep_if_alone(layout)
    assert _files(layout) == before | {"models/org--name/openvino-int4", "downloads"}


def test_what_can_be_used_again_is_kept(layout: StoreLayout) -> None:
    orphan = _content(layout, "safetensors", "c0ffee-1")
    unreadable = _content(layout, "openvino-bf16", "c0ffee-1")
    layout.manifest("org/name", "openvino-bf16").write_text("{", encoding="utf-8")
    partial = layout.download("org/name", "c0ffee") / "weights.bin.part"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"half")
    layout.fetch_progress.write_text("{}", encoding="utf-8")
    sweep_if_alone(layout)
    assert orphan.is_dir()
    assert unreadable.is_dir()
    assert partial.exists()
    assert not list(leftovers(layout))


def test_nothing_is_removed_while_another_fetcher_is_at_work(layout: StoreLayout) -> None:
    begun = _content(layout, "openvino-int4", "c0ffee-1")
    with writer_lock(layout):
        sweep_if_alone(layout)
        assert begun.is_dir()
    sweep_if_alone(layout)
    assert not begun.exists()


def test_a_volume_that_cannot_be_written_keeps_its_leftovers_without_an_error(layout: StoreLayout) -> None:
    if os.getuid() == 0:
        pytest.skip("root may write everywhere")
    begun = _content(layout, "openvino-int4", "c0ffee-1")
    layout.root.chmod(0o555)
    sweep_if_alone(layout)
    layout.root.chmod(0o755)
    assert begun.is_dir()
