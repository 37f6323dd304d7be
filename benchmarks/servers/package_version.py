"""Which version of a package another environment has."""

import subprocess
from pathlib import Path


def package_version(python: Path, package: str) -> str:
    """Ask that environment's own Python.

    Raises:
        subprocess.CalledProcessError: the package is not there.
    """
    program = f"from importlib.metadata import version; print(version({package!r}))"
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()
