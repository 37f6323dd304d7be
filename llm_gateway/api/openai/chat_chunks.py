"""A chat's answer as a stream of chunks: role, content or calls, finish; then the usage, and the end.

What is the same in every chunk is encoded once, because this runs for each token.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import msgspec

from llm_gateway.api.openai.chat import calls_given_out, finish_word
from llm_gateway.api.openai.envelope import Envelope, stop_reason, usage_body
from llm_gateway.api.openai.logprobs import chat_logprobs
from llm_gateway.api.openai.tools import new_call_id
from llm_gateway.generation import AnswerPiece, GenerationRequest, ToolCall
from llm_gateway.stream.sse import DONE, sse_event
from llm_gateway.telemetry.request_record import RequestRecord

KIND: Final = "chat.completion.chunk"

_encode = msgspec.json.Encoder().encode


class ChatChunks:
    """Writes the frames of one stream."""

    def __init__(
        self, envelope: Envelope, request: GenerationRequest, *, include_usage: bool, top_logprobs: bool
    ) -> None:
        self._request = request
        self._top_logprobs = top_logprobs
        self._include_usage = include_usage
        self._head = _encode(envelope)[:-1]
        usage = b',"usage":null' if include_usage else b""
        self._before = [
            b'data: %b,"choices":[{"index":%d,"delta":' % (self._head, index) for index in range(request.num_sequences)
        ]
        self._before_content = [before + b'{"content":' for before in self._before]
        self._end = b"}]" + usage + b"}\n\n"
        self._after = b',"logprobs":null,"finish_reason":null' + self._end
        self._after_content = b"}" + self._after
        self._num_calls: dict[int, int] = {}
        """Of each sequence that has begun, how many calls it has made."""

    def of_piece(self, piece: AnswerPiece) -> bytes:
        """Write the chunks of what became ready, together."""
        index = piece.sequence
        begun = index in self._num_calls
        if begun and piece.finish is None and not (piece.reasoning or piece.tool_calls or piece.tokens):
            return self._before_content[index] + _encode(piece.text) + self._after_content
        frames = [] if begun else [self._begin(index)]
        if piece.reasoning:
            frames.append(self._chunk(index, {"reasoning_content": piece.reasoning}))
        if piece.text or piece.tokens:
            frames.append(self._content(piece))
        frames += self._calls(index, piece.tool_calls)
        if piece.finish is not None:
            frames.append(self._finish(piece))
        return b"".join(frames)

    def end(self, record: RequestRecord) -> bytes:
        """Write what comes after the last choice has ended."""
        if not self._include_usage:
            return DONE
        return sse_event(self._head + b',"choices":[],"usage":' + _encode(usage_body(record)) + b"}") + DONE

    def _begin(self, index: int) -> bytes:
        self._num_calls[index] = 0
        return self._chunk(index, {"role": "assistant", "content": ""})

    def _content(self, piece: AnswerPiece) -> bytes:
        delta = {"content": piece.text} if piece.text else {}
        if not piece.tokens:
            return self._chunk(piece.sequence, delta)
        logprobs = _encode(chat_logprobs(piece.tokens, top=self._top_logprobs))
        rest = b',"logprobs":' + logprobs + b',"finish_reason":null' + self._end
        return self._before[piece.sequence] + _encode(delta) + rest

    def _calls(self, index: int, calls: tuple[ToolCall, ...]) -> list[bytes]:
        frames = []
        for call in calls_given_out(self._request, calls, self._num_calls[index]):
            number = self._num_calls[index]
            function = {"name": call.name, "arguments": ""}
            head = {"index": number, "id": new_call_id(), "type": "function", "function": function}
            rest = {"index": number, "function": {"arguments": call.arguments}}
            frames += [self._chunk(index, {"tool_calls": [head]}), self._chunk(index, {"tool_calls": [rest]})]
            self._num_calls[index] += 1
        return frames

    def _finish(self, piece: AnswerPiece) -> bytes:
        assert piece.finish is not None
        word = finish_word(piece.finish, called=self._num_calls[piece.sequence] > 0)
        why = _encode(stop_reason(self._request, piece.stopped_by))
        finish = b'{},"logprobs":null,"finish_reason":"%b","stop_reason":%b' % (word.encode(), why)
        return self._before[piece.sequence] + finish + self._end

    def _chunk(self, index: int, delta: object) -> bytes:
        return self._before[index] + _encode(delta) + self._after


async def chat_frames(
    chunks: ChatChunks, pieces: AsyncGenerator[AnswerPiece, None], record: RequestRecord
) -> AsyncGenerator[bytes, None]:
    """Yield a stream's frames, to its [DONE]."""
    async with aclosing(pieces):
        async for piece in pieces:
            yield chunks.of_piece(piece)
    yield chunks.end(record)
