"""The end of a gateway that is asked to stop: no new work, and time for what runs."""

import asyncio

import structlog

from llm_gateway.admission.permits import Places
from llm_gateway.lifecycle import Lifecycle, Phase

_log = structlog.get_logger()


async def drain(lifecycle: Lifecycle, places: Places, timeout_s: float, hurry: asyncio.Event) -> None:
    """Turn new requests away, and wait for those inside: at most `timeout_s`, or until someone is in a hurry."""
    lifecycle.move_to(Phase.DRAINING, f"stopping; running answers have {timeout_s:g} s to finish")
    lifecycle.expect(timeout_s)
    waits = {asyncio.ensure_future(places.until_empty()), asyncio.ensure_future(hurry.wait())}
    await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    if places.taken:
        _log.warning("drained in part", cut_off=places.taken, timeout_s=timeout_s, hurried=hurry.is_set())
    else:
        _log.info("drained")
