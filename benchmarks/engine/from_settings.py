"""The set-up that the gateway would use, from the same settings, so that the two cannot drift apart."""

import os
from typing import Literal

import machine
from benchmarks.engine.setup import Setup
from llm_gateway.models.catalog import CatalogEntry, find
from llm_gateway.models.engine_choice import choice_for, engine_choices
from llm_gateway.models.planning import plan_for
from llm_gateway.models.pool import engine_options
from llm_gateway.settings import Settings, load_settings
from model_store.layout import StoreLayout
from model_store.variants import OPENVINO

PROFILES = ("cpu_optimized", "vm_optimized")
"""The two that OpenVINO serves: 16 bits and INT8."""


def setup_for(profile: str, driver: Literal["raw", "contract"] = "contract") -> Setup:
    """Return what a gateway with this profile and this environment would load.

    Raises:
        SystemExit: the model is not on the volume, or the settings cannot be used; the sentence says what helps.
    """
    settings = settings_for(profile)
    entry = _published(settings)
    facts = machine.look()
    choice = choice_for(engine_choices(settings), entry.family)
    plan = plan_for(entry, settings, facts, choice)
    return Setup(entry.folder, engine_options(settings, plan, facts, choice), driver)


def settings_for(profile: str) -> Settings:
    """Read the settings as the gateway does, with this profile."""
    before = os.environ.get("PERFORMANCE_PROFILE")
    os.environ["PERFORMANCE_PROFILE"] = profile
    try:
        return load_settings()[0]
    finally:
        del os.environ["PERFORMANCE_PROFILE"]
        if before is not None:
            os.environ["PERFORMANCE_PROFILE"] = before


def _published(settings: Settings) -> CatalogEntry:
    entry = find(
        StoreLayout(settings.model_store.expanduser()), settings.model_name, settings.quantization, (OPENVINO,)
    )
    if entry is None:
        raise SystemExit(
            f"{settings.model_name} is not on {settings.model_store} with QUANTIZATION={settings.quantization}; "
            f"prepare it with PERFORMANCE_PROFILE={settings.performance_profile} python -m model_fetcher"
        )
    return entry
