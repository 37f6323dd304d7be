"""One request, from words to words: admission, prompt, worker, text. Every dialect goes through here.

However it ends, the place is given back, what still runs in the worker is cancelled, and the record has one outcome.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from llm_gateway.admission.limits import answer_tokens, check_num_sequences
from llm_gateway.admission.permits import Permit, Places
from llm_gateway.errors import InvalidRequestError
from llm_gateway.generation import FinishReason, GenerationRequest, Sampling, SequenceRequest, TextPiece
from llm_gateway.lifecycle import Lifecycle, Phase
from llm_gateway.models.pool import LoadedModel, ModelPool
from llm_gateway.prompt.prepare import prompt_token_ids
from llm_gateway.settings import Settings
from llm_gateway.stream.detokenizer import IncrementalDetokenizer
from llm_gateway.stream.sequence_text import SequenceText
from llm_gateway.telemetry.request_record import Outcome, RequestRecord
from llm_gateway.workers.client import TokenStream


class Generator:
    """Answers generation requests with the loaded model."""

    def __init__(self, settings: Settings, lifecycle: Lifecycle, pool: ModelPool) -> None:
        self._settings = settings
        self._lifecycle = lifecycle
        self._pool = pool
        self.places = Places(settings.max_concurrent_requests)

    async def answer(self, request: GenerationRequest, record: RequestRecord) -> AsyncGenerator[TextPiece, None]:
        """Yield the answer's pieces as they are made; a consumer that stops early cancels the rest.

        Raises:
            GatewayError: there is no answer, or not the rest of it; the class says which.
        """
        check_num_sequences(request.num_sequences, self._settings.max_num_sequences)
        with self.places.take() as permit:
            await self._until_ready()
            try:
                async with aclosing(self.generate(permit, request, record)) as pieces:
                    async for piece in pieces:
                        yield piece
                record.outcome = Outcome.FINISHED
            except (asyncio.CancelledError, GeneratorExit):
                record.outcome = Outcome.CANCELLED
                raise
            except Exception as error:
                record.outcome = Outcome.REFUSED if isinstance(error, InvalidRequestError) else Outcome.FAILED
                raise

    async def generate(
        self, permit: Permit, request: GenerationRequest, record: RequestRecord
    ) -> AsyncGenerator[TextPiece, None]:
        """The same for a caller that holds a permit already, whatever the phase: the warm-up comes in here."""
        model = self._pool.get(self._settings.model_name)
        prompt = await prompt_token_ids(request, model.tokenizer, model.template)
        sequences = self._sequences(request, prompt, model)
        record.usage.prompt_tokens = len(prompt)
        streams = model.worker.client.generate(permit, sequences)
        record.timings.queue_s = time.monotonic() - record.arrived
        texts = [SequenceText(IncrementalDetokenizer(model.tokenizer.underlying), request.stop) for _ in sequences]
        try:
            async with aclosing(_pieces(streams, texts, record)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            record.usage.completion_tokens = sum(text.num_tokens for text in texts)
            record.timings.total_s = time.monotonic() - record.arrived
            model.worker.client.cancel(sequence.sequence_id for sequence in sequences)

    async def clear_cache(self) -> int:
        """Drop the prefix cache; returns the bytes given back."""
        with self.places.take():
            await self._until_ready()
            return await self._pool.get(self._settings.model_name).worker.client.clear_cache()

    async def _until_ready(self) -> None:
        """Return in READY; where the model is loaded on demand, ask for it and wait; raise in any other phase."""
        if not self._settings.model_preload:
            await self._load_on_demand()
        if self._lifecycle.phase is not Phase.READY:
            raise self._lifecycle.not_ready()

    async def _load_on_demand(self) -> None:
        if self._lifecycle.phase in {Phase.ON_DEMAND, Phase.FAILED}:
            self._lifecycle.move_to(Phase.LOADING, "a request is here")
        while self._lifecycle.phase in {Phase.LOADING, Phase.WARMING_UP}:
            await self._lifecycle.wait_for_change()

    def _sequences(self, request: GenerationRequest, prompt: list[int], model: LoadedModel) -> list[SequenceRequest]:
        max_tokens = answer_tokens(
            len(prompt), request.max_tokens, self._settings.default_max_tokens, model.context_tokens
        )
        return [
            SequenceRequest(
                sequence_id=model.worker.client.new_sequence_id(),
                prompt_token_ids=prompt,
                max_tokens=max_tokens,
                sampling=_seeded(request.sampling, index),
                stop_token_ids=[] if request.ignore_eos else sorted(model.tokenizer.eos_token_ids),
            )
            for index in range(request.num_sequences)
        ]


def _pieces(
    streams: list[TokenStream], texts: list[SequenceText], record: RequestRecord
) -> AsyncGenerator[TextPiece, None]:
    """Yield what any of the sequences has, until each has ended."""
    if len(streams) == 1:
        return _pieces_of_one(streams[0], texts[0], record)
    return _pieces_of_several(streams, texts, record)


async def _pieces_of_one(
    stream: TokenStream, text: SequenceText, record: RequestRecord
) -> AsyncGenerator[TextPiece, None]:
    """The common case, which needs no task for each step."""
    while text.finish is None:
        piece = _take(0, await stream.next(), text, record)
        if piece.text or piece.finish is not None:
            yield piece


async def _pieces_of_several(
    streams: list[TokenStream], texts: list[SequenceText], record: RequestRecord
) -> AsyncGenerator[TextPiece, None]:
    waiting = {asyncio.ensure_future(stream.next()): index for index, stream in enumerate(streams)}
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                index = waiting.pop(task)
                piece = _take(index, task.result(), texts[index], record)
                if piece.finish is None:
                    waiting[asyncio.ensure_future(streams[index].next())] = index
                if piece.text or piece.finish is not None:
                    yield piece
    finally:
        for task in waiting:
            task.cancel()
        # All of them fail at once when a worker dies, and an exception that nobody looks at is reported as lost.
        await asyncio.gather(*waiting, return_exceptions=True)


def _take(
    index: int, produced: tuple[list[int], FinishReason | None], text: SequenceText, record: RequestRecord
) -> TextPiece:
    token_ids, finish = produced
    if token_ids and record.timings.first_token_s is None:
        record.timings.first_token_s = time.monotonic() - record.arrived
    return TextPiece(index, text.push(token_ids, finish), text.finish)


def _seeded(sampling: Sampling, index: int) -> Sampling:
    """Give each sequence a seed of its own: the one asked for, counted up, or any."""
    seed = secrets.randbits(32) if sampling.seed is None else (sampling.seed + index) % (1 << 32)
    return msgspec.structs.replace(sampling, seed=seed)
