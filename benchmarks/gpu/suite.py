"""The engines' own tests in this environment, before anything is measured: a fast wrong answer is no result."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ("tests/engines/test_conformance.py", "tests/engines/test_transformers_engine.py")
_PATIENCE_S = 900.0


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """How the suite ended."""

    summary: str
    """The last line of pytest, such as `40 passed, 1 skipped in 60.00s`."""
    failed: list[str]
    """A line for each test that failed, with the reason."""


def run_suite(device: str) -> SuiteResult:
    """Run the conformance suite with its engines on `device`, and the engine's own tests on the processor."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no", *TESTS, "--device", device]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        return SuiteResult(f"not over within {_PATIENCE_S:.0f} s", [])
    lines = (done.stdout + done.stderr).strip().splitlines() or [
        f"pytest ended with {done.returncode} and said nothing"
    ]
    return SuiteResult(lines[-1], [line for line in lines if line.startswith(("FAILED", "ERROR"))])
