"""One request, from words to words: admission, prompt, worker, text. Every dialect goes through here.

However it ends, the place is given back, what still runs in the worker is cancelled, and the record has one outcome.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing, contextmanager

import msgspec

from llm_gateway.admission.deadlines import NEVER, Deadline
from llm_gateway.admission.limits import answer_tokens, check_num_sequences, tokens_inside, tokens_of
from llm_gateway.admission.permits import Permit, Places
from llm_gateway.answer_rules import PreparedRequest, prepare_request
from llm_gateway.errors import UnsupportedError
from llm_gateway.generation import AnswerPiece, GenerationRequest, Sampling, SequenceRequest, TokenChunk
from llm_gateway.lifecycle import ON_ITS_WAY, Lifecycle, Phase
from llm_gateway.models.pool import LoadedModel, ModelPool
from llm_gateway.settings import Settings
from llm_gateway.stream.sequence_answer import SequenceAnswer
from llm_gateway.telemetry.endings import Endings
from llm_gateway.telemetry.request_record import RequestRecord
from llm_gateway.workers.client import TokenStream, WorkerClient

_TRIED_AGAIN_IN = frozenset({Phase.FAILED, Phase.LOADING, Phase.WARMING_UP})
"""Where a model that is loaded on demand has failed: the phases in which a request may wait for it nevertheless."""
_A_REQUEST_IS_HERE = "a request is here"


class Generator:
    """Answers generation requests with the loaded model."""

    def __init__(self, settings: Settings, lifecycle: Lifecycle, pool: ModelPool, endings: Endings) -> None:
        self._settings = settings
        self._lifecycle = lifecycle
        self._pool = pool
        self._endings = endings
        self.places = Places(
            settings.max_concurrent_requests, opens_in_s=lambda: self._lifecycle.estimated_seconds_left
        )
        self.unload_wanted = asyncio.Event()
        """Somebody waits for the model's memory to be given back; whoever brings models up listens."""
        self._num_unloading = 0

    async def answer(self, request: GenerationRequest, record: RequestRecord) -> AsyncGenerator[AnswerPiece, None]:
        """Yield the answer's pieces as they are made; a consumer that stops early cancels the rest.

        Raises:
            GatewayError: there is no answer, or not the rest of it; the class says which.
        """
        check_num_sequences(request.num_sequences, self._settings.max_num_sequences)
        self._refuse_if_closed()
        deadline = self._deadline(record)
        with self.places.take() as permit, self._endings.one_for(record):
            await deadline.hold(self.until_ready())
            record.timings.admitted_s = time.monotonic() - record.arrived
            async with aclosing(self.generate(permit, request, record, deadline)) as pieces:
                async for piece in pieces:
                    yield piece

    async def generate(
        self, permit: Permit, request: GenerationRequest, record: RequestRecord, deadline: Deadline = NEVER
    ) -> AsyncGenerator[AnswerPiece, None]:
        """The same for a caller that holds a permit already, whatever the phase: the warm-up comes in here."""
        model = self._pool.get(self._settings.model_name)
        # Templates, tokenizers and grammars compute, and the event loop must stay free to answer health checks. Of a
        # request that ends meanwhile, the thread goes on to the end of that, and has nobody to give it to.
        prepared = await deadline.hold(asyncio.to_thread(prepare_request, request, model))
        sequences = self._sequences(prepared, model)
        tokens = tokens_of(request, sequences, self._settings.default_max_tokens)
        with (
            permit.hold(tokens, self._tokens_inside(model)),
            _running(model.worker.client, permit, sequences, record, deadline) as streams,
        ):
            record.usage.prompt_tokens = len(prepared.prompt.token_ids)
            answers = [prepared.new_answer(index) for index in range(request.num_sequences)]
            try:
                async with aclosing(_pieces(streams, answers, record)) as pieces:
                    async for piece in pieces:
                        yield piece
            finally:
                record.usage.completion_tokens = sum(answer.num_tokens for answer in answers)

    async def clear_cache(self) -> int:
        """Drop the prefix cache; returns the bytes given back."""
        self._refuse_if_closed()
        with self.places.take():
            await self.until_ready()
            return await self._pool.get(self._settings.model_name).worker.client.clear_cache()

    async def unload(self, record: RequestRecord) -> None:
        """Give the model's memory back once running answers have ended; the next request loads it again.

        Raises:
            UnsupportedError: the model is kept loaded.
            DeadlinePassedError: there were running answers until the time of this request had passed.
        """
        if self._settings.model_preload:
            raise UnsupportedError(
                f"{self._settings.model_name} stays loaded, so that it is always warm; "
                "MODEL_PRELOAD=false loads it on demand and lets it be unloaded"
            )
        self._num_unloading += 1
        self.unload_wanted.set()
        try:
            await self._deadline(record).hold(self._until_not_ready())
        finally:  # the last who stops waiting takes the wish along, or the next load would be undone
            self._num_unloading -= 1
            if not self._num_unloading:
                self.unload_wanted.clear()

    async def model(self, record: RequestRecord) -> LoadedModel:
        """Return the served model, for what it can do; where it is loaded on demand, hold a place and wait for it.

        Raises:
            NotReadyError: it is not loaded.
            OverloadedError: it would have to be waited for, and every place is taken.
            DeadlinePassedError: it was waited for, until the request's time had passed.
        """
        if self._lifecycle.phase is not Phase.READY:
            self._refuse_if_closed()
            with self.places.take():
                await self._deadline(record).hold(self.until_ready())
        return self._pool.get(self._settings.model_name)

    async def until_ready(self) -> None:
        """Return in READY; where the model is loaded on demand, ask for it and wait.

        Raises:
            NotReadyError: the phase is another one.
        """
        if not self._settings.model_preload:
            await self._load_on_demand()
        if self._lifecycle.phase is not Phase.READY:
            raise self._lifecycle.not_ready()

    def _refuse_if_closed(self) -> None:
        """Tell whoever comes in a phase that waiting does not help, before it takes a place from those who may.

        Raises:
            NotReadyError: so it is.
        """
        if self._lifecycle.accepts_requests:
            return
        if self._settings.model_preload or self._lifecycle.phase not in _TRIED_AGAIN_IN:
            raise self._lifecycle.not_ready()

    def _deadline(self, record: RequestRecord) -> Deadline:
        return Deadline(record.arrived, self._settings.request_timeout_s)

    def _tokens_inside(self, model: LoadedModel) -> int | None:
        return tokens_inside(self._settings.max_concurrent_tokens, model.kv_cache_tokens)

    async def _load_on_demand(self) -> None:
        if self._lifecycle.phase is Phase.FAILED:
            self._lifecycle.move_to(Phase.LOADING, _A_REQUEST_IS_HERE)
        while self._lifecycle.phase in ON_ITS_WAY:
            if self._lifecycle.phase is Phase.ON_DEMAND:  # again, where other weights had to be checked before
                self._lifecycle.move_to(Phase.LOADING, _A_REQUEST_IS_HERE)
            await self._lifecycle.wait_for_change()

    async def _until_not_ready(self) -> None:
        while self._lifecycle.phase is Phase.READY:
            await self._lifecycle.wait_for_change()

    def _sequences(self, prepared: PreparedRequest, model: LoadedModel) -> list[SequenceRequest]:
        request, prompt = prepared.request, prepared.prompt.token_ids
        max_tokens = answer_tokens(
            len(prompt),
            request.max_tokens or self._settings.default_max_tokens,
            model.context_tokens,
            exact=request.exact_max_tokens,
        )
        eos = frozenset[int]() if request.ignore_eos else model.tokenizer.eos_token_ids
        return [
            SequenceRequest(
                sequence_id=model.worker.client.new_sequence_id(),
                prompt_token_ids=prompt,
                max_tokens=max_tokens,
                min_tokens=min(request.min_tokens, max_tokens),
                sampling=_seeded(request.sampling, index),
                stop_token_ids=sorted(eos | _existing(request.stop_token_ids, model)),
                logprobs=request.token_details,
                grammar=prepared.grammar,
            )
            for index in range(request.num_sequences)
        ]


@contextmanager
def _running(
    client: WorkerClient, permit: Permit, sequences: list[SequenceRequest], record: RequestRecord, deadline: Deadline
) -> Iterator[list[TokenStream]]:
    """Have the worker generate, and give up there as soon as the block ends or the deadline passes."""
    ids = [sequence.sequence_id for sequence in sequences]
    streams = client.generate(permit, sequences)
    record.timings.queue_s = time.monotonic() - record.arrived
    try:
        with deadline.calls(lambda error: client.give_up(ids, error)):
            yield streams
    finally:
        record.timings.total_s = time.monotonic() - record.arrived
        client.cancel(ids)


def _pieces(
    streams: list[TokenStream], answers: list[SequenceAnswer], record: RequestRecord
) -> AsyncGenerator[AnswerPiece, None]:
    """Yield what any of the sequences has, until each has ended."""
    if len(streams) == 1:
        return _pieces_of_one(streams[0], answers[0], record)
    return _pieces_of_several(streams, answers, record)


async def _pieces_of_one(
    stream: TokenStream, answer: SequenceAnswer, record: RequestRecord
) -> AsyncGenerator[AnswerPiece, None]:
    """The common case, which needs no task for each step."""
    while answer.finish is None:
        piece = _take(stream, await stream.next(), answer, record)
        if _says_something(piece):
            yield piece


async def _pieces_of_several(
    streams: list[TokenStream], answers: list[SequenceAnswer], record: RequestRecord
) -> AsyncGenerator[AnswerPiece, None]:
    waiting = {asyncio.ensure_future(stream.next()): index for index, stream in enumerate(streams)}
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                index = waiting.pop(task)
                piece = _take(streams[index], task.result(), answers[index], record)
                if piece.finish is None:
                    waiting[asyncio.ensure_future(streams[index].next())] = index
                if _says_something(piece):
                    yield piece
    finally:
        for task in waiting:
            task.cancel()
        # All of them fail at once when a worker dies, and an exception that nobody looks at is reported as lost.
        await asyncio.gather(*waiting, return_exceptions=True)


def _take(stream: TokenStream, chunk: TokenChunk, answer: SequenceAnswer, record: RequestRecord) -> AnswerPiece:
    if record.timings.first_token_s is None and chunk.token_ids:
        record.timings.first_token_s = time.monotonic() - record.arrived
        record.usage.cached_tokens = stream.cached_tokens
    return answer.push(chunk)


def _says_something(piece: AnswerPiece) -> bool:
    return bool(piece.text or piece.finish or piece.reasoning or piece.tool_calls or piece.tokens)


def _existing(token_ids: Iterable[int], model: LoadedModel) -> frozenset[int]:
    """Leave out ids that no token has: none of them is ever generated, and XGrammar ends the worker over them."""
    return frozenset(token_id for token_id in token_ids if 0 <= token_id < model.tokenizer.vocabulary_size)


def _seeded(sampling: Sampling, index: int) -> Sampling:
    """Give each sequence a seed of its own: the one asked for, counted up, or any."""
    seed = secrets.randbits(32) if sampling.seed is None else (sampling.seed + index) % (1 << 32)
    return msgspec.structs.replace(sampling, seed=seed)
