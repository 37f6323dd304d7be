"""Docker for the tests: the engine or a reason to skip, the two images built once, and projects that clean up."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.appliance import Appliance, appliance, docker, environment
from tests.support.gateway_process import REPOSITORY


@pytest.fixture(scope="session", autouse=True)
def docker_engine() -> str:
    """The engine's version; without one these tests are skipped, except in CI, where that is a failure."""
    try:
        finished = docker("version", "--format", "{{.Server.Version}}")
        reason = "" if finished.exit_code == 0 else finished.output.strip()
    except FileNotFoundError:
        reason = "there is no docker command"
    if reason and os.environ.get("REQUIRE_DOCKER"):
        pytest.fail(f"REQUIRE_DOCKER is set, and no Docker Engine answers: {reason}")
    if reason:
        pytest.skip(f"the appliance tests need a Docker Engine: {reason}")
    return finished.output.strip()


@pytest.fixture(scope="session", autouse=True)
def images(docker_engine: str) -> None:
    """Both images, built from the working tree as `docker compose build` does."""
    finished = docker("compose", "--project-directory", str(REPOSITORY), "build", "--quiet")
    assert finished.exit_code == 0, f"Engine {docker_engine}, {environment()}: {finished.output}"


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """An appliance with the demo model on its volume. Tests change its settings and bring it up themselves."""
    with appliance(tmp_path_factory.mktemp("served"), f"preheat-test-served-{os.getpid()}") as made:
        made.up()
        yield made


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Appliance]:
    """An appliance that was never started."""
    with appliance(tmp_path, f"preheat-test-fresh-{os.getpid()}") as made:
        yield made
