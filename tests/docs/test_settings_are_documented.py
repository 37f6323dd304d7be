"""Settings, `.env.example`, the table and the profiles name the same things with the same defaults."""

import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

import llm_gateway.settings
import model_fetcher.settings
import profiles
from docs import generate_configuration
from docs.known_settings import COMPOSE_ONLY, Setting, groups

ROOT = Path(__file__).parents[2]
CLASSES = (llm_gateway.settings.Settings, model_fetcher.settings.Settings)
KNOWN = {setting.name: setting for group in groups() for setting in group.settings}
FIELDS = {name.upper() for settings in CLASSES for name in settings.model_fields}


def _example_lines() -> dict[str, str]:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    return dict(re.findall(r"^#?([A-Z][A-Z0-9_]+)=(.*)$", text, re.MULTILINE))


def test_the_example_and_the_table_are_what_the_settings_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate_configuration.main(["--check"]) == 0, capsys.readouterr().err


def test_every_setting_is_in_the_example_and_in_the_table_and_nothing_else_is() -> None:
    expected = FIELDS | {setting.name for setting in COMPOSE_ONLY}
    table = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert set(_example_lines()) == expected
    assert set(re.findall(r"^\| `([A-Z0-9_]+)`", table, re.MULTILINE)) == expected


def test_five_lines_of_the_example_are_live() -> None:
    live = re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    assert live == list(generate_configuration.LIVE)
    assert len(live) == 5


@pytest.mark.parametrize("setting", KNOWN.values(), ids=KNOWN)
def test_every_setting_has_a_sentence_of_its_own(setting: Setting) -> None:
    assert re.fullmatch(r"\S.{15,}\.", setting.sentence), setting


@pytest.mark.parametrize("settings", CLASSES, ids=lambda settings: settings.__module__)
def test_the_defaults_in_the_example_are_the_defaults(
    settings: type[BaseSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = settings()
    for name, value in _example_lines().items():
        monkeypatch.setenv(name, value)
    assert settings() == before


@pytest.mark.parametrize("profile", profiles.PROFILE_NAMES)
def test_every_key_of_a_profile_is_a_setting(profile: str) -> None:
    assert set(profiles.read_profile(profile)) <= FIELDS


def test_every_variable_in_compose_is_documented() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "compose.yaml").read_text(encoding="utf-8")))
    assert used <= set(KNOWN)
    assert {setting.name for setting in COMPOSE_ONLY} <= used
