"""An answer that is sent as it is made: a real status while there is still a choice, and a truthful end after that."""

from collections.abc import AsyncGenerator, Callable, Mapping

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

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
    try:
        first = await unless_client_leaves(request, anext(frames, b""))
    except BaseException:
        await frames.aclose()  # the first frame may have come as the client left
        raise
    answer = FrameStream(frames, media_type=media_type, headers=headers)
    answer.first, answer.frames = first, frames
    return answer


class FrameStream(StreamingResponse):
    """A stream that, if its answer fails on the way, says so in its dialect's own frame.

    Where the dialect has none, it ends without its last chunk, so that clients see it was cut. However it ends, the
    answer behind it has ended too by then, and has given its place back.
    """

    first: bytes
    frames: AsyncGenerator[bytes, None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            # A client that leaves while a frame is sent interrupts the sending, and not the one who makes the frames.
            await self.frames.aclose()

    async def stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self._safe(self.first), "more_body": True})
        try:
            async for frame in self.frames:
                await send({"type": "http.response.body", "body": self._safe(frame), "more_body": True})
        except GatewayError as error:
            current_record.get().error = str(error)
            error_frames: Callable[[GatewayError], bytes] | None = current_dialect().error_frames
            if error_frames is None:
                raise CutStreamError from error
            await send({"type": "http.response.body", "body": self._safe(error_frames(error)), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _safe(self, frame: bytes) -> bytes:
        """Keep what is read by the line to its lines; plain text goes as it is."""
        return frame if str(self.media_type).startswith("text/plain") else with_escaped_line_ends(frame)


class CutStreamError(Exception):
    """Tells the server to close the connection without the end of the body; the record has the reason."""
