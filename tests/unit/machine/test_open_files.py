"""The limit of open files, in a process of its own, because a hard limit that was lowered stays so."""

import subprocess
import sys

import pytest

LIMIT = """
import resource
from machine.open_files import allow_open_files
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(allow_open_files({wanted}), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "allowed"),
    [(64, 512, 256, 256), (64, 128, 256, 128), (128, 512, 100, 128)],
)
def test_the_limit_is_raised_as_far_as_it_is_wanted_and_may_be(soft: int, hard: int, wanted: int, allowed: int) -> None:
    program = LIMIT.format(soft=soft, hard=hard, wanted=wanted)
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert told.split() == [str(allowed), str(allowed)]
