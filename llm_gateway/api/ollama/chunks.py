"""The lines of a stream: each is made of bytes that the whole stream shares, the time, and what is new."""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from llm_gateway.api.collect import WholeAnswer
from llm_gateway.api.ollama.answers import chat_answer, ending, generate_answer, to_calls
from llm_gateway.api.ollama.logprobs import to_logprobs
from llm_gateway.api.ollama.schema import AnswerBody, ChatBody
from llm_gateway.generation import AnswerPiece
from llm_gateway.stream.ndjson import ndjson_line
from llm_gateway.telemetry.request_record import RequestRecord

_encode = msgspec.json.encode


class StreamLines:
    """Writes the lines of one stream; the last one has no text, and says why the answer ended and how it went."""

    def __init__(self, body: AnswerBody) -> None:
        self._body = body
        self._is_chat = isinstance(body, ChatBody)
        self._num_calls = 0
        self._begin = b'{"model":%b,"created_at":' % _encode(body.model)
        self._opening, self._closing = (
            (b',"message":{"role":"assistant","content":', b"}") if self._is_chat else (b',"response":', b"")
        )

    def of(self, piece: AnswerPiece) -> bytes:
        """Write what a piece holds; one that only ends the answer is no line."""
        if not (piece.text or piece.reasoning or piece.tool_calls or piece.tokens):
            return b""
        said = _encode(piece.text)
        if piece.reasoning:
            said += b',"thinking":' + _encode(piece.reasoning)
        if piece.tool_calls:
            said += b',"tool_calls":' + _encode(to_calls(piece.tool_calls, self._num_calls))
            self._num_calls += len(piece.tool_calls)
        said += self._closing + b',"done":false'
        if logprobs := to_logprobs(piece.tokens, top=self._body.top_logprobs > 0):
            said += b',"logprobs":' + _encode(logprobs)
        return ndjson_line(self._begin + _encode(datetime.now(UTC)) + self._opening + said + b"}")

    def last(self, finish: AnswerPiece, record: RequestRecord) -> bytes:
        """Write the end."""
        nothing = WholeAnswer()
        nothing.add(AnswerPiece(finish.sequence, finish=finish.finish))
        write: Callable[..., dict[str, object]] = chat_answer if self._is_chat else generate_answer
        return ndjson_line(_encode(write(self._body.model, nothing, **ending(nothing, record, self._body))))
