"""Where things are on the volume."""

from pathlib import Path

import pytest

from model_store.layout import StoreLayout, folder_name, plain_name


@pytest.mark.parametrize(
    ("model", "folder"),
    [
        ("demo", "demo"),
        ("Qwen/Qwen3-0.6B", "Qwen--Qwen3-0.6B"),
        ("Qwen/Qwen3-0.6B@main", "Qwen--Qwen3-0.6B@main"),
        ("/data/my model", "--data--my model"),
        ("../../etc", "..--..--etc"),
    ],
)
def test_a_models_name_becomes_one_folder(model: str, folder: str) -> None:
    assert folder_name(model) == folder


@pytest.mark.parametrize("name", ["", ".", "..", "/", "../..", "a\0b"])
def test_a_name_that_would_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="MODEL_NAME is"):
        folder_name(name)


@pytest.mark.parametrize("model", ["org/name", "../../etc/passwd", "/etc/passwd", "./x", "a/../../b"])
def test_no_model_lies_outside_the_volume(tmp_path: Path, model: str) -> None:
    layout = StoreLayout(tmp_path)
    for path in (layout.variant(model, "openvino-int8"), layout.download(model, "c0ffee")):
        assert path.resolve().is_relative_to(tmp_path.resolve())
        assert path.resolve().relative_to(tmp_path.resolve()).parts[0] in {"models", "downloads"}


@pytest.mark.parametrize("name", ["", ".", "..", "../..", "a/b", "/etc", "../../../../", "a\0b"])
def test_a_variant_or_a_commit_is_a_plain_name_or_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="expected a plain name"):
        plain_name(name)
    with pytest.raises(ValueError, match="expected a plain name"):
        StoreLayout(tmp_path).variant("demo", name)
    with pytest.raises(ValueError, match="expected a plain name"):
        StoreLayout(tmp_path).download("demo", name)
