"""One HTTP request that is several generation requests: each takes a place of its own, and only so many at once."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from llm_gateway.api.collect import WholeAnswer, whole
from llm_gateway.errors import OverloadedError
from llm_gateway.generation import AnswerPiece, GenerationRequest
from llm_gateway.generator import Generator
from llm_gateway.telemetry.request_record import Outcome, RequestRecord

_MOST_AT_ONCE: Final = 8
_Result = TypeVar("_Result")


def at_once(max_concurrent_requests: int) -> int:
    """How many parts of one request may be under way together: never more than half of the places, so others get in."""
    return max(1, min(_MOST_AT_ONCE, max_concurrent_requests // 2))


def part_of(record: RequestRecord, index: int) -> RequestRecord:
    """Make the record of one part."""
    return RequestRecord(f"{record.request_id}-{index}", record.arrived, record.dialect)


def add_part(record: RequestRecord, part: RequestRecord) -> None:
    """Count what a part used, and when the first of them was as far, into the record that is logged."""
    record.usage.prompt_tokens += part.usage.prompt_tokens
    record.usage.cached_tokens += part.usage.cached_tokens
    record.usage.completion_tokens += part.usage.completion_tokens
    for name in ("admitted_s", "queue_s", "first_token_s"):
        known = [s for s in (getattr(record.timings, name), getattr(part.timings, name)) if s is not None]
        setattr(record.timings, name, min(known, default=None))


class Siblings:
    """The parts of one request, which wait for each other where there is no room for all of them at once.

    A part that is refused while another one is inside tries again when that one has ended; so a request that is larger
    than the room is answered piece by piece, instead of being in its own way for ever.
    """

    def __init__(self, record: RequestRecord) -> None:
        self._record = record
        self._num_inside = 0
        self._one_ended = asyncio.Event()

    async def answer(self, index: int, work: Callable[[RequestRecord], Awaitable[_Result]]) -> _Result:
        """Do the work of one part with a record of its own, which is counted into the request's.

        Raises:
            OverloadedError: there is no room for it, and no sibling to wait for.
        """
        while True:
            part = part_of(self._record, index)
            self._num_inside += 1
            try:
                result = await work(part)
            except OverloadedError:
                self._num_inside -= 1
                if not self._num_inside:
                    self._end(part)
                    raise
            except BaseException:
                self._num_inside -= 1
                self._end(part)
                raise
            else:
                self._num_inside -= 1
                self._end(part)
                return result
            await self._one_ended.wait()

    def _end(self, part: RequestRecord) -> None:
        add_part(self._record, part)
        self._one_ended.set()
        self._one_ended = asyncio.Event()


def answer_each(
    generator: Generator, wanted: Sequence[GenerationRequest], record: RequestRecord, num_at_once: int
) -> AsyncGenerator[AnswerPiece, None]:
    """Yield the pieces of all answers, numbered through: the first request's, then the second's.

    Raises:
        GatewayError: one of them failed, and the others were stopped.
    """
    if len(wanted) == 1:
        return generator.answer(wanted[0], record)
    return _answer_several(generator, wanted, record, num_at_once)


async def collect_each(
    generator: Generator, wanted: Sequence[GenerationRequest], record: RequestRecord, num_at_once: int
) -> list[WholeAnswer]:
    """Wait for all answers to end.

    Raises:
        GatewayError: one of them did not.
    """
    return await whole(answer_each(generator, wanted, record, num_at_once))


async def _answer_several(
    generator: Generator, wanted: Sequence[GenerationRequest], record: RequestRecord, num_at_once: int
) -> AsyncGenerator[AnswerPiece, None]:
    bench = _Bench(generator, wanted, record)
    workers = [asyncio.create_task(bench.work()) for _ in range(min(num_at_once, len(wanted)))]
    for worker in workers:
        worker.add_done_callback(lambda _: bench.made.put_nowait(None))
    try:
        while not bench.is_cleared(workers):
            piece = await bench.made.get()
            if piece is not None:
                yield piece
        record.outcome = Outcome.FINISHED
    except (asyncio.CancelledError, GeneratorExit):
        record.outcome = Outcome.CANCELLED
        raise
    finally:
        await _stop(workers)


class _Bench:
    """Where the workers take their requests from, and where they put what they made."""

    def __init__(self, generator: Generator, wanted: Sequence[GenerationRequest], record: RequestRecord) -> None:
        self._generator = generator
        self._todo = iter(enumerate(wanted))
        self._record = record
        self._siblings = Siblings(record)
        self.made: asyncio.Queue[AnswerPiece | None] = asyncio.Queue()
        """None wakes whoever waits, when a worker has ended."""

    async def work(self) -> None:
        """Answer one request after the other until none is left."""
        for index, request in self._todo:
            await self._siblings.answer(index, partial(self._answer, index, request))

    async def _answer(self, index: int, request: GenerationRequest, part: RequestRecord) -> None:
        try:
            async with aclosing(self._generator.answer(request, part)) as pieces:
                async for piece in pieces:
                    self.made.put_nowait(replace(piece, sequence=index * request.num_sequences + piece.sequence))
        except Exception:
            # Not the last word: where there was no room, it is tried again.
            self._record.outcome = part.outcome or Outcome.REFUSED
            raise

    def is_cleared(self, workers: Sequence["asyncio.Task[None]"]) -> bool:
        """Whether all is done and taken away.

        Raises:
            GatewayError: a worker failed.
        """
        for worker in workers:
            if worker.done():
                worker.result()
        return self.made.empty() and all(worker.done() for worker in workers)


async def _stop(workers: Sequence["asyncio.Task[None]"]) -> None:
    for worker in workers:
        worker.cancel()
    # All but the first failure are of no interest, and an exception that nobody looks at is reported as lost.
    await asyncio.gather(*workers, return_exceptions=True)
