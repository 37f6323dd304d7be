"""The warm-up: real prompts through the whole path before the door opens, and the figures that come out of it.

Prompts of several lengths make the engine build its kernels and touch its memory; the user's `WARMUP_FILE` comes last,
so that its prompts are what the prefix cache holds. READY follows only if tokens came.
"""

import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import TypeAlias

import msgspec

from llm_gateway.errors import ModelUnloadableError
from llm_gateway.generation import AnswerPiece, GenerationRequest, PromptSource, Sampling
from llm_gateway.models.figures import Figures
from llm_gateway.models.pool import LoadedModel
from llm_gateway.telemetry.request_record import RequestRecord

Answer: TypeAlias = Callable[[GenerationRequest, RequestRecord], AsyncGenerator[AnswerPiece, None]]

_PROMPT_WORDS = (4, 32, 128)
_MOST_TOKENS_PER_WORD = 4
_ANSWER_TOKENS = 4
"""Enough for the first decode steps of each length; more would only delay the opening of a large model."""
_GREEDY = Sampling(temperature=0)
MEASURED = GenerationRequest(
    request_id="warm-up",
    prompt=PromptSource(text="How warm is it inside?", raw=True),
    max_tokens=32,
    sampling=_GREEDY,
    ignore_eos=True,
)
"""The request whose speed becomes the figures in `/health`."""


class WarmUpPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `WARMUP_FILE`."""

    prompt: str | None = None
    messages: tuple[dict[str, object], ...] | None = None
    max_tokens: int = 16


async def warm_up(answer: Answer, model: LoadedModel, warmup_file: Path | None) -> Figures:
    """Run our prompts, measure one, then run the user's.

    Raises:
        ModelUnloadableError: a prompt brought no token, or `WARMUP_FILE` cannot be used.
    """
    users = list(_read(warmup_file)) if warmup_file else []
    for request in own_prompts(model.context_tokens):
        await _run(answer, request)
    measured = await _run(answer, MEASURED)
    for request in users:
        await _run(answer, request)
    return Figures(
        first_token_ms=round(1000 * (measured.timings.first_token_s or 0), 1),
        tokens_per_s=measured.decoded_tokens_per_s(num_sequences=1),
        memory_bytes=model.memory_bytes(),
        num_threads=model.facts.num_threads,
        context_tokens=model.context_tokens,
        num_prompts=len(_PROMPT_WORDS) + 1 + len(users),
    )


def own_prompts(context_tokens: int) -> Iterator[GenerationRequest]:
    """Prompts of a few lengths, as far as the context has room for them."""
    for words in _PROMPT_WORDS:
        if _MOST_TOKENS_PER_WORD * words + _ANSWER_TOKENS < context_tokens:
            prompt = " ".join(f"warm{index}" for index in range(words))
            yield GenerationRequest(
                request_id="warm-up",
                prompt=PromptSource(text=prompt, raw=True),
                max_tokens=_ANSWER_TOKENS,
                sampling=_GREEDY,
            )


def _read(path: Path) -> Iterator[GenerationRequest]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ModelUnloadableError(f"WARMUP_FILE is {path}, which cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _parse(line, f"{path} line {number}")


def _parse(line: bytes, where: str) -> GenerationRequest:
    try:
        parsed = msgspec.json.decode(line, type=WarmUpPrompt)
    except (ValueError, RecursionError) as error:  # not UTF-8, or nested too deep, among others
        raise ModelUnloadableError(f"{where} is not a warm-up prompt: {error}") from error
    if (parsed.prompt is None) == (parsed.messages is None):
        raise ModelUnloadableError(f"{where} needs either prompt or messages")
    return GenerationRequest(
        request_id="warm-up",
        prompt=PromptSource(text=parsed.prompt, messages=parsed.messages),
        max_tokens=parsed.max_tokens,
        sampling=_GREEDY,
    )


async def _run(answer: Answer, request: GenerationRequest) -> RequestRecord:
    record = RequestRecord(request.request_id, arrived=time.monotonic())
    async with aclosing(answer(request, record)) as pieces:
        async for _ in pieces:
            pass
    if not record.usage.completion_tokens:
        raise ModelUnloadableError("the warm-up brought no token, so the model cannot answer")
    return record
