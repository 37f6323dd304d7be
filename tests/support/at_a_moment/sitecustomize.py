"""Does something to a process at a chosen moment of its work on a folder: kills it, or fills the disk below it.

Python imports this by itself in every process that has this folder on its PYTHONPATH. A moment is the beginning of one
operation that changes the folder, counted over a process and its children. `tests/support/moments.py` says when.
"""

import os
import signal
import sys
from typing import Any

_CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.utime", "shutil.rmtree"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def _watch(folder: str, trace: str, moment: int, filler: str) -> None:
    first = int(os.environ.setdefault("MOMENTS_PROCESS", str(os.getpid())))
    lines = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    marks = os.open(f"{trace}.marks", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _CHANGES or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        path = os.fsdecode(arguments[0])
        if not path.startswith(folder) or (event == "open" and not arguments[2] & _WRITES):
            return
        os.write(lines, f"{event} {path.removeprefix(folder)}\n".encode())
        os.write(marks, b".")
        if os.fstat(marks).st_size == moment:
            if filler:
                _fill(filler)
            else:
                os.kill(first, signal.SIGKILL)

    sys.addaudithook(hear)


def _fill(path: str) -> None:
    """Write until there is no room left, not even for a byte."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for block in (1 << 20, 4096, 1):
        try:
            while os.write(file, bytes(block)):
                pass
        except OSError:
            continue
    os.close(file)


if "MOMENTS_FOLDER" in os.environ:
    _watch(
        os.environ["MOMENTS_FOLDER"],
        os.environ["MOMENTS_TRACE"],
        int(os.environ.get("MOMENTS_AT", "0")),
        os.environ.get("MOMENTS_FILLER", ""),
    )
