"""The events of TGI's streams: one for each token, the last of them with the whole text.

TGI writes no space after `data:`, and its clients read on to the end of the connection: there is no `[DONE]`.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from msgspec.json import encode

from llm_gateway.api.tgi.answers import StreamDetails, finish_name, is_special
from llm_gateway.api.tgi.schema import InputsBody
from llm_gateway.api.tgi.translate import prompt_before, reported_seed
from llm_gateway.generation import AnswerPiece, FinishReason, GenerationRequest, TokenDetail
from llm_gateway.generator import Generator
from llm_gateway.telemetry.request_record import RequestRecord

_EVENT: Final = (
    b'data:{"index":%d,"token":{"id":%d,"text":%b,"logprob":%b,"special":%b},"generated_text":%b,"details":%b}\n\n'
)
_NULL: Final = b"null"


async def events(
    generator: Generator, body: InputsBody, wanted: GenerationRequest, record: RequestRecord
) -> AsyncGenerator[bytes, None]:
    """Yield events as tokens are made; those of one step go out together.

    Raises:
        GatewayError: there is no answer, or not the rest of it.
    """
    writer = _EventWriter(body, wanted, record)
    async with aclosing(generator.answer(wanted, record)) as pieces:
        async for piece in pieces:
            yield writer.write(piece)


class _EventWriter:
    """Counts the tokens and remembers the text for the end."""

    def __init__(self, body: InputsBody, wanted: GenerationRequest, record: RequestRecord) -> None:
        self._with_details = bool(body.how.details)
        self._seed = reported_seed(wanted.sampling, 0)
        self._record = record
        self._text = [prompt_before(body)]
        self._num_tokens = 0
        self._last_id = 0

    def write(self, piece: AnswerPiece) -> bytes:
        self._text.append(piece.text)
        if piece.finish is None:
            return b"".join([self._event(token) for token in piece.tokens])
        *before, last = piece.tokens or (self._no_token(piece.text),)
        frames = [self._event(token) for token in before]
        frames.append(self._last_event(last, piece.finish, piece.stopped_by))
        return b"".join(frames)

    def _event(self, token: TokenDetail, generated_text: bytes = _NULL, details: bytes = _NULL) -> bytes:
        self._num_tokens += 1
        self._last_id = token.token_id
        text, logprob = encode(token.text), encode(token.logprob)
        special = b"true" if is_special(token) else b"false"
        return _EVENT % (self._num_tokens, token.token_id, text, logprob, special, generated_text, details)

    def _last_event(self, token: TokenDetail, finish: FinishReason, stopped_by: str | int | None) -> bytes:
        details = StreamDetails(
            finish_reason=finish_name(finish, stopped_by),
            generated_tokens=self._num_tokens + 1,
            seed=self._seed,
            input_length=self._record.usage.prompt_tokens,
        )
        return self._event(token, encode("".join(self._text)), encode(details) if self._with_details else _NULL)

    def _no_token(self, text: str) -> TokenDetail:
        """Stand in where the engine ends a sequence without a token, for lack of memory: the event has to have one."""
        return TokenDetail(self._last_id, text, 0.0, special=True)
