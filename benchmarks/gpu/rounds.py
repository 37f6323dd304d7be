"""Rounds in which every contender takes its turn at the same prompts, and what is kept of them."""

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol, TypeAlias

from benchmarks.gpu.in_process import InProcess
from benchmarks.gpu.runners import RUNNERS
from benchmarks.gpu.serve import Serve
from benchmarks.gpu.workload import Answered, ContenderFailedError, Setup
from benchmarks.prompts import Prompt, Prompts
from machine.gpu_memory import gpu_cards

CONTENDERS = ("generate", "engine", "serve")
"""In the order in which they are loaded: the server takes its cache last, from what is left."""
WARM_UP_TOKENS = 8

Row: TypeAlias = dict[str, object]


class Contender(Protocol):
    """A loaded model that is asked in turn with others."""

    name: str
    load_s: float

    def answer(self, prompts: Sequence[Prompt], output_tokens: int) -> Answered: ...
    def peak_bytes(self) -> int | None: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class Standing:
    """One contender at one precision: what it took to load, and all that it answered."""

    precision: str
    contender: str
    load_s: float | None = None
    held_bytes: int | None = None
    """GPU memory that was free before it was loaded and is not after it answered its largest batch."""
    peak_bytes: int | None = None
    failure: str = ""
    """Why it answered nothing, or not with `too_many` streams and more."""
    too_many: float = math.inf
    answered: dict[int, list[Answered]] = field(default_factory=dict)
    """By the number of streams."""

    def rows(self) -> list[Row]:
        """What goes into the JSON, a row for each number of streams; a contender that answered nothing has one."""
        common = {name: value for name, value in asdict(self).items() if name not in ("answered", "too_many")}
        measured = [common | {"streams": streams} | _figures(all_) for streams, all_ in self.answered.items() if all_]
        return measured or [common | {"streams": None}]


def _figures(answered: Sequence[Answered]) -> Row:
    speeds = [one.output_tokens / one.seconds for one in answered]
    first = [one.first_token_s for one in answered if one.first_token_s is not None]
    return {
        "rounds": len(answered),
        "tokens_per_s": statistics.median(speeds),
        "least": min(speeds),
        "most": max(speeds),
        "output_tokens": answered[0].output_tokens,
        "first_token_ms": 1000 * statistics.median(first) if first else None,
    }


def measure(setup: Setup, names: Sequence[str], streams: Sequence[int], rounds: int, seconds: float) -> list[Standing]:
    """Load the contenders, warm them, and let them answer in turn until the rounds or the seconds are over.

    They stay loaded side by side, so that a slower or warmer minute of the machine is everybody's.
    """
    end = time.monotonic() + seconds
    prompts = Prompts(setup.folder, setup.prompt_tokens)
    standings, loaded = [], []
    try:
        for name in names:
            standing, contender = _load(name, setup, prompts, streams)
            standings.append(standing)
            if contender is not None:
                loaded.append((contender, standing))
        for number in range(rounds):
            turn = loaded[number % len(loaded) :] + loaded[: number % len(loaded)] if loaded else []
            for count in streams:
                asked = prompts.make(count, seed=f"{count} streams, round {number}")
                for contender, standing in turn:
                    if time.monotonic() < end and count < standing.too_many:
                        _answer(contender, standing, asked, setup.output_tokens)
        for contender, standing in loaded:
            standing.peak_bytes = contender.peak_bytes()
    finally:
        for contender, _ in loaded:
            contender.close()
    return standings


def _load(name: str, setup: Setup, prompts: Prompts, streams: Sequence[int]) -> tuple[Standing, Contender | None]:
    """Load and warm one contender: every number of streams briefly, and the largest to its end."""
    standing = Standing(setup.precision, name)
    free = _free_bytes(setup.device)
    print(f"{setup.precision}: loading {name}", flush=True)
    try:
        contender: Contender = InProcess(name, setup) if name in RUNNERS else Serve(setup)
    except ContenderFailedError as error:
        _fail(standing, 0, error)
        return standing, None
    standing.load_s = contender.load_s
    for count in sorted(streams):
        output_tokens = setup.output_tokens if count == max(streams) else WARM_UP_TOKENS
        _try(contender, standing, prompts.make(count, seed=f"{count} streams, warm-up"), output_tokens)
    if free is not None:
        standing.held_bytes = free - (_free_bytes(setup.device) or 0)
    return standing, contender


def _answer(contender: Contender, standing: Standing, asked: Sequence[Prompt], output_tokens: int) -> None:
    answered = _try(contender, standing, asked, output_tokens)
    if answered is not None:
        standing.answered.setdefault(len(asked), []).append(answered)
        speed = answered.output_tokens / answered.seconds
        print(f"{standing.precision}: {contender.name}, {len(asked)} streams: {speed:.1f} tokens/s", flush=True)


def _try(contender: Contender, standing: Standing, asked: Sequence[Prompt], output_tokens: int) -> Answered | None:
    """Ask, unless as many were too many before; a batch that fails (for memory, say) leaves the smaller ones."""
    if len(asked) >= standing.too_many:
        return None
    try:
        answered = contender.answer(asked, output_tokens)
        if answered.output_tokens != len(asked) * output_tokens:
            raise ContenderFailedError(
                f"{contender.name} made {answered.output_tokens} tokens, expected {len(asked) * output_tokens}"
            )
    except ContenderFailedError as error:
        _fail(standing, len(asked), error)
        return None
    return answered


def _fail(standing: Standing, streams: int, error: ContenderFailedError) -> None:
    standing.too_many = streams
    standing.failure = (
        f"{standing.precision}, {streams} streams: {error}" if streams else f"{standing.precision}: {error}"
    )
    print(standing.failure, flush=True)


def _free_bytes(device: str) -> int | None:
    return gpu_cards()[0].free_bytes if device == "cuda" else None
