"""Every promise in docs/behaviour.md names tests, and they exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTIONS = (ROOT / "docs" / "behaviour.md").read_text(encoding="utf-8").split("\n## ")[1:]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: str(section).splitlines()[0])
def test_a_promise_names_tests_that_exist(section: str) -> None:
    named = re.findall(r"tests/[\w/.]+", section)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
