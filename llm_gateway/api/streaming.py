"""An answer that is sent as it is made: a real status while there is still a choice, and a truthful end after that."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Send

from llm_gateway.api.dialects import current_dialect
from llm_gateway.api.disconnect import unless_client_leaves
from llm_gateway.errors import GatewayError
from llm_gateway.stream.lines import with_escaped_line_ends
from llm_gateway.telemetry.request_record import current_record


async def stream(
    request: Request,
    frames: AsyncGenerator[bytes, None],
    media_type: str,
    headers: Mapping[str, str] | None = None,
) -> "FrameStream":
    """Wait for the first frame, so that whatever goes wrong before it has its own status, then stream the rest.

    Raises:
        GatewayError: the answer ended before it began.
    """
    first = await unless_client_leaves(request, anext(frames, b""))
    return FrameStream(_from_first(first, frames), media_type=media_type, headers=headers)


async def _from_first(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with aclosing(rest):
        yield first
        async for frame in rest:
            yield frame


class FrameStream(StreamingResponse):
    """A stream that, if its answer fails on the way, says so in its dialect's own frame.

    Where the dialect has none, it ends without its last chunk, so that clients see it was cut.
    """

    async def stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async for frame in self.body_iterator:
                await send({"type": "http.response.body", "body": self._safe(frame), "more_body": True})
        except GatewayError as error:
            current_record.get().error = str(error)
            error_frames: Callable[[GatewayError], bytes] | None = current_dialect().error_frames
            if error_frames is None:
                raise CutStreamError from error
            await send({"type": "http.response.body", "body": self._safe(error_frames(error)), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _safe(self, frame: str | bytes | memoryview) -> str | bytes | memoryview:
        """Keep what is read by the line to its lines; plain text goes as it is."""
        is_plain = str(self.media_type).startswith("text/plain")
        return with_escaped_line_ends(frame) if isinstance(frame, bytes) and not is_plain else frame


class CutStreamError(Exception):
    """Tells the server to close the connection without the end of the body; the record has the reason."""
