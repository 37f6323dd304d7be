"""The end of a gateway that is asked to stop: no new work, and time for what runs."""

import asyncio

import structlog

from llm_gateway.admission.permits import Places
from llm_gateway.lifecycle import Lifecycle, Phase

_log = structlog.get_logger()


async def drain(lifecycle: Lifecycle, places: Places, timeout_s: float) -> None:
    """Turn new requests away, and wait until those inside have ended or `timeout_s` has passed."""
    lifecycle.move_to(Phase.DRAINING, f"stopping; running answers have {timeout_s:g} s to finish")
    lifecycle.expect(timeout_s)
    try:
        async with asyncio.timeout(timeout_s):
            await places.until_empty()
    except TimeoutError:
        _log.warning("drain timed out", cut_off=places.taken, timeout_s=timeout_s)
    else:
        _log.info("drained")
