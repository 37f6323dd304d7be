"""The README's tree is the repository's, its links lead somewhere, and its commands exist."""

import re
import shlex
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_IN_THE_TREE = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"}
"""What people look for by name."""


def _tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for path in listed.stdout.splitlines() if (ROOT / path).exists()]


def _blocks(document: Path, *languages: str) -> list[str]:
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [text for language, text in fences if language in languages]


def _commands(document: Path) -> list[str]:
    lines = [line for block in _blocks(document, "bash", "sh", "shell") for line in block.splitlines()]
    lines += re.findall(r"`((?:make|docker compose|python -m) [^`]+)`", document.read_text(encoding="utf-8"))
    return lines


DOCUMENTS = sorted(ROOT / path for path in _tracked() if path.endswith(".md"))


def test_the_file_tree_is_the_repository() -> None:
    [tree] = [block for block in _blocks(ROOT / "README.md", "text", "") if "compose.yaml" in block]
    shown = {line.split()[0].rstrip("/") for line in tree.splitlines() if line and not line.startswith(" ")}
    there = {path.split("/")[0] for path in _tracked()}
    visible = {name for name in there if not name.startswith(".")} - NOT_IN_THE_TREE
    assert shown - there == set(), "the tree shows what does not exist"
    assert visible - shown == set(), "the tree leaves something out"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_inside_the_repository_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?://|mailto:|#)([^)#\s]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_make_command_has_a_target(name: str) -> None:
    used = {target for line in _commands(ROOT / name) for target in re.findall(r"^make ([a-z]+)", line)}
    assert used
    for target in used:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_module_that_is_run_exists(name: str) -> None:
    for line in _commands(ROOT / name):
        for module in re.findall(r"\bpython -m ([\w.]+)", line):
            assert find_spec(module), line


def test_every_service_in_a_compose_command_exists() -> None:
    services = set(re.findall(r"^  (\w+):$", (ROOT / "compose.yaml").read_text(encoding="utf-8"), re.MULTILINE))
    for line in _commands(ROOT / "README.md"):
        words = shlex.split(line, comments=True) if line.startswith("docker compose") else []
        named = [word for word in words if "_" in word and word.isidentifier() and word.islower()]
        assert set(named) <= services, line


def test_the_tests_read_the_commands_that_the_readme_shows() -> None:
    commands = _commands(ROOT / "README.md")
    assert "docker compose up --wait" in commands
    assert any(line.startswith("make run") for line in commands)
