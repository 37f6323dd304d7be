"""Keeps what the C heap holds near what is in use; glibc's own way is to keep what was freed for later."""

import ctypes
from collections.abc import Callable
from typing import Final

_M_ARENA_MAX: Final = -8
"""mallopt(3), of glibc alone."""


def use_one_arena() -> None:
    """Let all threads share one heap, before the first of them starts.

    Each would get one of its own, which keeps what prompts needed in it. They are few and take turns at Python's lock,
    so there is nothing to gain by it.
    """
    _of_glibc("mallopt", _M_ARENA_MAX, 1)


def return_free_memory() -> None:
    """Ask glibc to give freed memory back now; another C library has no such call and keeps it."""
    _of_glibc("malloc_trim", 0)


def _of_glibc(name: str, *arguments: int) -> None:
    function: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(*arguments)
