"""Notices an engine that is stuck: its process lives and its socket is open, but no step ends while work waits."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from llm_gateway.workers.client import WorkerClient

_LOOKS: Final = 8


async def until_stuck(
    client: WorkerClient, stall_s: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Return when no step has ended for `stall_s` seconds, an eighth more at most, in all of which work waited.

    It looks a few times and compares, instead of reading a clock: where the machine or the container was halted, that
    is one look, whatever the clock says after it. With 0 seconds it never returns.
    """
    if not stall_s:
        await asyncio.get_running_loop().create_future()
    looks_without_a_sign, signs = 0, client.signs_of_life
    while looks_without_a_sign < _LOOKS:
        await sleep(stall_s / _LOOKS)
        if client.waits_for_a_step and client.signs_of_life == signs:
            looks_without_a_sign += 1
        else:
            looks_without_a_sign, signs = 0, client.signs_of_life
