from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway_process import GatewayProcess, gateway


@pytest.fixture(scope="module")
def demo(demo_store: Path) -> Iterator[GatewayProcess]:
    """One gateway with the demo model and the real engine, shared by the tests of a module that only ask."""
    with gateway(demo_store) as running:
        running.wait_until_ready()
        yield running
