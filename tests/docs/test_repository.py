"""Facts that are written down in more than one file are the same in each."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import llm_gateway

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = {
    "fetcher": ("fetch",),
    "gateway": ("cpu",),
    "dev": ("fetch", "cpu", "dev"),
    "gateway_transformers": ("transformers",),
    "gateway_vllm": ("vllm",),
    "test_transformers": ("transformers", "serving", "test"),
    "test_vllm": ("vllm-cpu", "test"),
    "aiperf": ("aiperf",),
}
UNFINISHED = ("TO" + "DO", "FIX" + "ME", "X" * 3, "lorem " + "ipsum")


def _locked(role: str) -> dict[str, set[str]]:
    """Read a lock: the versions of each package, of which there are several where Python's version decides."""
    pins: dict[str, set[str]] = {}
    for line in (ROOT / "requirements" / f"{role}.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.lstrip().startswith("#"):
            name, version = re.fullmatch(r"([\w.-]+)==([\w.]+)(?: ;.*)?", line).groups()  # type: ignore[union-attr]
            pins.setdefault(canonicalize_name(name), set()).add(version)
    return pins


def _wanted(extra: str) -> Iterator[Requirement]:
    """What an extra asks for, its own extras included."""
    for wanted in map(Requirement, PROJECT["optional-dependencies"][extra]):
        if wanted.name == PROJECT["name"]:
            for inner in wanted.extras:
                yield from _wanted(inner)
        else:
            yield wanted


def test_the_version_is_the_same_everywhere() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changelog, re.MULTILINE)[0]
    assert newest == PROJECT["version"] == llm_gateway.__version__
    assert re.search(
        rf"^\[{re.escape(newest)}\]:|^## \[{re.escape(newest)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE
    )


@pytest.mark.parametrize("role", EXTRAS)
def test_a_lock_pins_what_the_project_asks_for(role: str) -> None:
    locked = _locked(role)
    for wanted in [
        *map(Requirement, PROJECT["dependencies"]),
        *(each for extra in EXTRAS[role] for each in _wanted(extra)),
    ]:
        versions = locked[canonicalize_name(wanted.name)]
        assert all(wanted.specifier.contains(Version(version)) for version in versions), wanted


@pytest.mark.parametrize("role", ["fetcher", "gateway"])
def test_one_environment_can_hold_every_role(role: str) -> None:
    everything = _locked("dev")
    assert {name: versions for name, versions in _locked(role).items() if everything.get(name) != versions} == {}


def test_the_gateway_installs_no_torch_and_no_client_of_a_hub() -> None:
    assert not {"torch", "transformers", "huggingface-hub", "optimum", "openvino-telemetry"} & set(_locked("gateway"))


def test_the_hosted_ci_calls_targets_that_exist() -> None:
    targets = re.findall(r"run: make (\w+)", (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    for line in re.findall(r"\bmake ([a-z -]+)", (ROOT / ".ci" / "run").read_text(encoding="utf-8")):
        targets += line.split()
    assert set(targets) == {"lint", "test", "appliance", "transformers", "bench-quick", "promptfoo"}
    for target in set(targets):
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_nothing_is_left_unfinished() -> None:
    tracked = subprocess.run(
        ["git", "grep", "-I", "-n", "-E", "|".join(UNFINISHED)], cwd=ROOT, capture_output=True, text=True
    )
    assert tracked.stdout == ""


def test_decisions_are_numbered_without_gaps() -> None:
    records = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert [name[:4] for name in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
