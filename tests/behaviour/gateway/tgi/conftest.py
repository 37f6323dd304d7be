from collections.abc import Iterator

import pytest
from huggingface_hub import InferenceClient

from tests.support.gateway_process import GatewayProcess


@pytest.fixture
def client(demo: GatewayProcess) -> Iterator[InferenceClient]:
    """The official client, talking to the demo model."""
    with InferenceClient(demo.url, provider="hf-inference") as official:
        yield official
