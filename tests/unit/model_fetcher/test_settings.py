"""Where a setting's value comes from, and what is said about one that cannot be used."""

import os
from pathlib import Path

import pytest

from model_fetcher.errors import SettingError
from model_fetcher.settings import Quantization, child_environment, load_settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in list(os.environ):
        if key not in {"PATH", "HOME"}:
            monkeypatch.delenv(key)


def test_nothing_set_means_the_demo_model_at_full_precision() -> None:
    settings = load_settings()
    assert (settings.model_name, settings.quantization) == ("demo", Quantization.NONE)


def test_a_profile_stands_above_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERFORMANCE_PROFILE", "vm_optimized")
    assert load_settings().quantization is Quantization.INT8


def test_the_environment_stands_above_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERFORMANCE_PROFILE", "vm_optimized")
    monkeypatch.setenv("QUANTIZATION", "int4")
    assert load_settings().quantization is Quantization.INT4


@pytest.mark.parametrize(
    ("profile", "families"),
    [
        ("gpu_accelerated", ("safetensors",)),
        ("cpu_optimized", ("openvino", "safetensors")),
        ("vm_optimized", ("openvino", "safetensors")),
    ],
)
def test_the_profile_says_which_forms_of_a_model_answer(
    monkeypatch: pytest.MonkeyPatch, profile: str, families: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PERFORMANCE_PROFILE", profile)
    settings = load_settings()
    assert settings.families == families
    assert settings.converts is ("openvino" in families)


def test_auto_becomes_the_profile_that_it_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERFORMANCE_PROFILE", "auto")
    monkeypatch.setenv("MEMORY_LIMIT", "1g")
    assert load_settings().performance_profile == "vm_optimized"


def test_an_empty_value_means_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("PERFORMANCE_PROFILE", "QUANTIZATION", "MODEL_NAME", "HF_TOKEN", "STALL_TIMEOUT_S", "MODEL_STORE"):
        monkeypatch.setenv(key, "")
    settings = load_settings()
    assert (settings.model_name, settings.hf_token, settings.stall_timeout_s) == ("demo", None, 30)


def test_the_volume_follows_the_users_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert load_settings().model_store == Path("/data/preheat")


@pytest.mark.parametrize("name", ["demo", "org/name", "org/name@v1.0", "/models/mine", "./mine", "../mine", "~/mine"])
def test_names_of_models_that_are_understood(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("MODEL_NAME", name)
    assert load_settings().model_name == name


@pytest.mark.parametrize("name", ["gpt2", "a/b/c", "org/name@", "org name/x", "https://hub/org/name"])
def test_names_of_models_that_are_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("MODEL_NAME", name)
    with pytest.raises(SettingError, match=r"MODEL_NAME is .* expected demo, org/name"):
        load_settings()


def test_a_wrong_value_is_named_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOWNLOAD_RETRIES", "many")
    with pytest.raises(SettingError, match="DOWNLOAD_RETRIES is 'many', expected a valid integer"):
        load_settings()


def test_the_token_does_not_show_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert "hf_secret" not in repr(load_settings())


def test_the_conversion_gets_neither_the_token_nor_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    environment = child_environment(threads=3)
    assert "hf_secret" not in environment.values()
    assert (environment["HF_HUB_OFFLINE"], environment["OMP_NUM_THREADS"]) == ("1", "3")
