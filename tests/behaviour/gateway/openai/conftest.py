"""One gateway with the demo model for the whole folder, one that says what it is told, and the official client."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from tests.support.gateway_process import GatewayProcess, gateway
from tests.support.stores import with_template

PARROT = "{# tools <tool_call> arguments </think> #}{{ messages[-1].content }}<|im_end|>"
"""The prompt is what the user says last, and the fake engine answers with it; the comment makes it a Hermes model."""
WITNESS = (
    "{# tools <tool_call> arguments </think> #}{{ messages | tojson }}\n{{ tools | tojson }}\n{{ enable_thinking }}"
)
"""Shows what templates are given."""


@pytest.fixture(scope="package")
def demo(demo_store: Path) -> Iterator[GatewayProcess]:
    with gateway(demo_store) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="package")
def client(demo: GatewayProcess) -> Iterator[OpenAI]:
    """The official client, which does not try again by itself."""
    with official_client(demo) as client:
        yield client


@pytest.fixture(scope="package")
def parrot(demo_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    store = with_template(demo_store, tmp_path_factory.mktemp("parrot"), PARROT)
    with gateway(store, ENGINE="fake", FAKE_ENGINE="stop_at_eos=1") as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="package")
def witness(demo_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    store = with_template(demo_store, tmp_path_factory.mktemp("witness"), WITNESS)
    with gateway(store, ENGINE="fake") as running:
        running.wait_until_ready()
        yield running


def official_client(running: GatewayProcess, max_retries: int = 0) -> OpenAI:
    return OpenAI(base_url=f"{running.url}/v1", api_key="not needed", max_retries=max_retries)
