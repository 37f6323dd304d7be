from pathlib import Path

import pytest

from tests.support.stores import fetch_demo


@pytest.fixture(scope="session")
def demo_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A volume with the demo model at full precision and at INT8; for reading only."""
    store = tmp_path_factory.mktemp("demo_store")
    fetch_demo(store)
    fetch_demo(store, PERFORMANCE_PROFILE="vm_optimized")
    return store
