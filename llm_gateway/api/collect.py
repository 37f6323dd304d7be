"""A whole answer, for clients that do not stream: the pieces of each sequence put together."""

from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from llm_gateway.generation import AnswerPiece, FinishReason, GenerationRequest, TokenDetail, ToolCall
from llm_gateway.generator import Generator
from llm_gateway.telemetry.request_record import RequestRecord


@dataclass(slots=True)
class WholeAnswer:
    """All of one sequence."""

    text: str = ""
    reasoning: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)
    tokens: list[TokenDetail] = field(default_factory=list)
    finish: FinishReason = FinishReason.CANCELLED
    stopped_by: str | int | None = None

    def add(self, piece: AnswerPiece) -> None:
        self.text += piece.text
        self.reasoning += piece.reasoning
        self.tool_calls += piece.tool_calls
        self.tokens += piece.tokens
        if piece.finish is not None:
            self.finish, self.stopped_by = piece.finish, piece.stopped_by


async def collect(generator: Generator, wanted: GenerationRequest, record: RequestRecord) -> list[WholeAnswer]:
    """Wait for every sequence to end.

    Raises:
        GatewayError: one of them did not.
    """
    return await whole(generator.answer(wanted, record))


async def whole(pieces: AsyncGenerator[AnswerPiece, None]) -> list[WholeAnswer]:
    """Put the pieces of each sequence together; how many there may be is checked by whoever makes them."""
    answers: defaultdict[int, WholeAnswer] = defaultdict(WholeAnswer)
    async with aclosing(pieces):
        async for piece in pieces:
            answers[piece.sequence].add(piece)
    return [answers[sequence] for sequence in range(len(answers))]
