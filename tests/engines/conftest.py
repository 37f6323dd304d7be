"""Where the conformance suite computes: `--device cuda` puts every engine that it builds on the GPU."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from llm_gateway.engines.base import Engine
from llm_gateway.engines.choose import build_engine
from llm_gateway.workers.protocol import EngineOptions
from tests.engines import conformance


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", choices=("cpu", "cuda"), default="cpu", help="where the conformance suite computes")


@pytest.fixture(scope="session", autouse=True)
def chosen_device(request: pytest.FixtureRequest) -> Iterator[None]:
    """Build on the chosen device; pytest knows the option where it was started with a file of this folder."""
    device: str = request.config.getoption("--device", default="cpu")

    def build_there(engine: str, folder: Path, options: EngineOptions) -> Engine:
        return build_engine(engine, folder, msgspec.structs.replace(options, device=device))

    with pytest.MonkeyPatch.context() as patch:
        if device != "cpu":
            patch.setattr(conformance, "build_engine", build_there)
        yield
