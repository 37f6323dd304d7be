"""What every test can rely on: nobody's settings reach it, and there is a volume with the demo model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.known_settings import COMPOSE_ONLY, groups
from tests.support.stores import fetch_demo


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """Unset every setting of the two services; what only Docker's build reads stays, since the builds need it."""
    with pytest.MonkeyPatch.context() as patch:
        for setting in (setting for group in groups() for setting in group.settings):
            if setting not in COMPOSE_ONLY:
                patch.delenv(setting.name, raising=False)
        yield


@pytest.fixture(scope="session")
def demo_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A volume with the demo model as the fetcher published it, at full precision and at INT8; for reading only."""
    store = tmp_path_factory.mktemp("demo_store")
    fetch_demo(store)
    fetch_demo(store, PERFORMANCE_PROFILE="vm_optimized")
    return store
