"""Completions: an answer that is whole, and the chunks of one that is streamed, which have the same shape."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

import msgspec

from llm_gateway.api.collect import WholeAnswer
from llm_gateway.api.openai.envelope import Envelope, UsageBody, stop_reason, usage_body
from llm_gateway.api.openai.logprobs import CompletionLogprobs, completion_logprobs
from llm_gateway.generation import AnswerPiece, GenerationRequest
from llm_gateway.stream.sse import DONE, sse_event
from llm_gateway.telemetry.request_record import RequestRecord

KIND: Final = "text_completion"

_encode = msgspec.json.Encoder().encode


class CompletionChoice(msgspec.Struct):
    """One of the answers: of the first prompt, `n`, then of the next one."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: str
    stop_reason: str | int | None


class Completion(msgspec.Struct):
    """The whole of it."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: str | None
    choices: list[CompletionChoice]
    usage: UsageBody


def completion(
    envelope: Envelope,
    request: GenerationRequest,
    answers: Sequence[WholeAnswer],
    echoes: Sequence[str],
    record: RequestRecord,
) -> Completion:
    """Write the answers to all prompts; `echoes` are what they begin with, one for each prompt, if anything."""
    choices = [
        CompletionChoice(
            index,
            _echo(echoes, index, request) + answer.text,
            completion_logprobs(answer.tokens, 0) if request.token_details else None,
            str(answer.finish),
            stop_reason(request, answer.stopped_by),
        )
        for index, answer in enumerate(answers)
    ]
    return Completion(**msgspec.structs.asdict(envelope), choices=choices, usage=usage_body(record))


class CompletionChunks:
    """Writes the frames of one stream; what is the same in each is encoded once."""

    def __init__(
        self, envelope: Envelope, request: GenerationRequest, echoes: Sequence[str], *, include_usage: bool
    ) -> None:
        self._request = request
        self._echoes = echoes
        self._include_usage = include_usage
        self._head = _encode(envelope)[:-1]
        self._before = b"data: " + self._head + b',"choices":[{"index":'
        usage = b',"usage":null' if include_usage else b""
        self._end = b"}]" + usage + b"}\n\n"
        self._after = b',"logprobs":null,"finish_reason":null' + self._end
        self._num_characters: dict[int, int] = {}
        """Of each sequence that has begun, how much of its answer was sent."""

    def of_piece(self, piece: AnswerPiece) -> bytes:
        """Write the chunk of what became ready."""
        index, text = piece.sequence, piece.text
        if index not in self._num_characters:
            self._num_characters[index] = 0
            text = _echo(self._echoes, index, self._request) + text
        before = self._before + b'%d,"text":%b' % (index, _encode(text))
        if piece.finish is None and not piece.tokens:
            return before + self._after
        logprobs = completion_logprobs(piece.tokens, self._num_characters[index]) if piece.tokens else None
        self._num_characters[index] += len(piece.text)
        rest = b',"logprobs":%b,"finish_reason":%b' % (_encode(logprobs), _encode(piece.finish))
        if piece.finish is not None:
            rest += b',"stop_reason":' + _encode(stop_reason(self._request, piece.stopped_by))
        return before + rest + self._end

    def end(self, record: RequestRecord) -> bytes:
        """Write what comes after the last choice has ended."""
        if not self._include_usage:
            return DONE
        return sse_event(self._head + b',"choices":[],"usage":' + _encode(usage_body(record)) + b"}") + DONE


async def completion_frames(
    chunks: CompletionChunks, pieces: AsyncGenerator[AnswerPiece, None], record: RequestRecord
) -> AsyncGenerator[bytes, None]:
    """Yield a stream's frames, to its [DONE]."""
    async with aclosing(pieces):
        async for piece in pieces:
            yield chunks.of_piece(piece)
    yield chunks.end(record)


def _echo(echoes: Sequence[str], index: int, request: GenerationRequest) -> str:
    return echoes[index // request.num_sequences] if echoes else ""
