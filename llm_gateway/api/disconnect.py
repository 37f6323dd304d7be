"""Notices that a client has left while its answer is being made, which Starlette does for streams alone."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from fastapi import Request

from llm_gateway.errors import ClientLeftError

_Result = TypeVar("_Result")


async def unless_client_leaves(request: Request, answer: Awaitable[_Result]) -> _Result:
    """Wait for the answer, and cancel it as soon as the connection closes.

    Raises:
        ClientLeftError: nobody is there to take the answer.
    """
    making = asyncio.ensure_future(answer)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({making, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if making.done():
            return making.result()
        raise ClientLeftError("the client closed the connection before the answer was whole")
    finally:
        leaving.cancel()
        making.cancel()
        await asyncio.wait({making, leaving})


async def _left(request: Request) -> None:
    """Return when the connection has closed; the body has been read by now, so nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
