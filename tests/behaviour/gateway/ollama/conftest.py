from collections.abc import Iterator
from pathlib import Path

import ollama
import pytest

from tests.support.gateway_process import GatewayProcess, gateway
from tests.support.stores import with_template

ABLE_TEMPLATE = (
    "{#- tools: <tool_call>{arguments}</tool_call>, <think></think> #}"
    "{%- if enable_thinking is defined %}{{ 'on: ' if enable_thinking else 'off: ' }}{% endif -%}"
    "{{- messages[-1].content -}}<|im_end|>"
)
"""Of a model that calls tools as Hermes does, and thinks; what it is told about thinking begins its answer."""


@pytest.fixture(scope="package")
def demo(demo_store: Path) -> Iterator[GatewayProcess]:
    """One gateway with the demo model and the real engine for all of this folder."""
    with gateway(demo_store) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def client(demo: GatewayProcess) -> Iterator[ollama.Client]:
    """The official client, talking to the demo model."""
    with ollama.Client(demo.url) as official:
        yield official


@pytest.fixture(scope="package")
def able(demo_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway whose model calls tools and thinks, and whose answer is what the last message says."""
    store = with_template(demo_store, tmp_path_factory.mktemp("able_store"), ABLE_TEMPLATE)
    with gateway(store, ENGINE="fake", FAKE_ENGINE="stop_at_eos=1") as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def able_client(able: GatewayProcess) -> Iterator[ollama.Client]:
    with ollama.Client(able.url) as official:
        yield official


@pytest.fixture(scope="package")
def slow(demo_store: Path) -> Iterator[GatewayProcess]:
    """A gateway that takes its time and has one place."""
    with gateway(
        demo_store, ENGINE="fake", FAKE_ENGINE="tokens_per_s=50", MAX_CONCURRENT_REQUESTS="1", MAX_REQUEST_BYTES="4096"
    ) as running:
        running.wait_until_ready()
        yield running
