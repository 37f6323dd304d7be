"""Settings from any environment: settings, or one sentence that names the variable, and nothing else."""

import os
from collections.abc import Mapping
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import llm_gateway.settings
import machine
import model_fetcher.settings
from llm_gateway.settings import SettingsError
from model_fetcher.errors import SettingError

GATEWAY = sorted(name.upper() for name in llm_gateway.settings.Settings.model_fields)
FETCHER = sorted(name.upper() for name in model_fetcher.settings.Settings.model_fields)
VALUES = [
    *("", " ", "0", "-1", "1", "1e9", "nan", "inf", "-inf", "1_000", "٣", "0x10", "9" * 400, "1e400", "true", "no"),
    *("auto", "none", "int8", "f16", "demo", "org/name", "org/name@", "/", "~", "../..", "a b", "a\nb", "a\r", "'"),
    *('"', "{}", "[1]", "8085", "65536", "2GiB", "1.5g", "0.0000001k", "9" * 400 + "t", "127.0.0.1", "::"),
    *("x" * 5000, "\ufeff8085", "\udcff"),
]  # fmt: skip
values = st.sampled_from(VALUES) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20
)


FACTS = machine.look()


def environments(names: list[str]) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(names), values, max_size=4)


def set_environment(patch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    for name in {*GATEWAY, *FETCHER} & os.environ.keys():
        patch.delenv(name)
    patch.setattr(machine, "look", lambda: FACTS)  # a thousand looks at the machine would only take time
    for name, value in environment.items():
        patch.setenv(name, value)


def check_gateway(environment: Mapping[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        set_environment(patch, environment)
        sentence = ""
        try:
            llm_gateway.settings.load_settings()
        except SettingsError as error:
            sentence = str(error)
    assert "\n" not in sentence
    assert len(sentence) < 2000


def check_fetcher(environment: Mapping[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        set_environment(patch, environment)
        sentence = ""
        try:
            model_fetcher.settings.load_settings()
        except SettingError as error:
            sentence = str(error)
    assert "\n" not in sentence
    assert len(sentence) < 2000
    assert "hf_secret" not in sentence


@pytest.mark.parametrize("name", GATEWAY)
def test_every_setting_of_the_gateway_takes_a_value_or_refuses_it(name: str) -> None:
    for value in VALUES:
        check_gateway({name: value})


@pytest.mark.parametrize("name", FETCHER)
def test_every_setting_of_the_fetcher_takes_a_value_or_refuses_it(name: str) -> None:
    for value in VALUES:
        check_fetcher({name: value})


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(environment=environments(GATEWAY))
def test_any_environment_makes_settings_of_the_gateway_or_a_sentence(environment: dict[str, str]) -> None:
    check_gateway(environment)


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(environment=environments(FETCHER))
def test_any_environment_makes_settings_of_the_fetcher_or_a_sentence(environment: dict[str, str]) -> None:
    check_fetcher(environment)


def test_a_token_that_is_no_text_is_refused_without_being_shown() -> None:
    check_fetcher({"HF_TOKEN": "hf_secret\udcff"})
    with pytest.MonkeyPatch.context() as patch, suppress(SettingError):
        set_environment(patch, {"HF_TOKEN": "hf_secret"})
        assert "hf_secret" not in repr(model_fetcher.settings.load_settings())
