"""Where the time goes: py-spy looks at the gateway's event loop while it streams."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from benchmarks.gateway.load import Job, run_apart
from benchmarks.gateway.process import gateway
from benchmarks.gateway.volumes import Volume

_STREAMS: Final = 64
_TOKENS_PER_S: Final = 50
_TOKENS: Final = 500
_SAMPLES_PER_S: Final = 200
_IDLE: Final = frozenset({"Runner.run (asyncio/runners.py)", "_worker (concurrent/futures/thread.py)"})
"""Where the loop waits for the kernel, and threads for work; py-spy cannot tell uvloop's waiting from working."""
_LINE: Final = re.compile(r":\d+\)$")


class ProfilerError(Exception):
    """There is no profile; the message says what helps."""


def profile(checkout: Path, volume: Volume, folder: Path) -> list[tuple[str, float]]:
    """Stream, and write `gateway_profile.speedscope.json` and `gateway_profile.txt` (stacks) into `folder`.

    Returns:
        Functions with their own share of the time that was not spent waiting, the largest first.

    Raises:
        ProfilerError: py-spy is missing, or was not allowed to look.
    """
    with gateway(checkout, volume.store, volume.model, f"tokens_per_s={_TOKENS_PER_S}") as measured:
        measured.until_ready()
        text_bytes = measured.whole(volume.model, _TOKENS).text_bytes
        job = Job("openai", volume.model, measured.port, _STREAMS, 1, _TOKENS, text_bytes)
        run_apart(job)
        for form, name in (("speedscope", "gateway_profile.speedscope.json"), ("raw", "gateway_profile.txt")):
            looking = _look(measured.pid, form, folder / name, _TOKENS // _TOKENS_PER_S)
            run_apart(job)
            _, said = looking.communicate()
            if looking.returncode:
                raise ProfilerError(f"py-spy could not look at the gateway: {said.strip()[-300:]}")
    return own_shares((folder / "gateway_profile.txt").read_text(encoding="utf-8").splitlines())


def own_shares(stacks: Iterable[str]) -> list[tuple[str, float]]:
    """Read py-spy's raw form: `outer;inner;innermost (file:line) count` in each line."""
    counts: Counter[str] = Counter()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        innermost = _LINE.sub(")", stack.rpartition(";")[2])
        if innermost not in _IDLE:
            counts[innermost] += int(count)
    total = max(1, counts.total())
    return [(name, count / total) for name, count in counts.most_common()]


def _look(pid: int, form: str, path: Path, seconds: int) -> "subprocess.Popen[str]":
    spy = shutil.which("py-spy") or shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if spy is None:
        raise ProfilerError("py-spy is not on the PATH nor beside this Python; install it with: pip install py-spy")
    how = ["--function", "--rate", str(_SAMPLES_PER_S), "--duration", str(seconds)]
    return subprocess.Popen(
        [spy, "record", "--pid", str(pid), "--format", form, "--output", str(path), *how],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
