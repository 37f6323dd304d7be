"""What profile_numbers asks of one loaded engine: each question gives one or two figures, named with their unit."""

import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from benchmarks.engine.child import EngineChild
from benchmarks.engine.quiet import BUSY_SHARE
from benchmarks.engine.tables import percentile
from benchmarks.engine.workloads import Answered, answer, while_prompts_arrive
from benchmarks.prompts import Prompts
from machine.memory import resident_bytes

LONG = 2048
_SHORT = 256
_LONGEST = 4096
_WARM_UP = ((12, 1), (96, 1), (384, 2))
"""Tokens of a prompt and how many of it at once, as the gateway's warm-up has them, and two together."""
_ARRIVALS = 3
_RUNNING = 8
_RUNNING_TOKENS = 400
"""Enough that they still run when the last prompt has arrived, also where each step computes few of its tokens."""
_ANSWER = 64
_TRIES = 3

T = TypeVar("T")
Figures = dict[str, float]


class Asker:
    """Asks one engine, never with the same prompt twice."""

    def __init__(self, child: EngineChild, folder: Path, seed: str) -> None:
        self.child = child
        self._folder = folder
        self._seeds = _numbered(seed)
        self.most_disturbed = 0.0
        """The largest share of the machine that others took during a figure that counts."""

    def prompts(self, count: int, tokens: int) -> list[list[int]]:
        made = Prompts(self._folder, tokens).make(count, seed=next(self._seeds))
        return [prompt.token_ids for prompt in made]

    def answer(self, count: int, tokens: int, output_tokens: int, streams: int | None = None) -> Answered:
        return self.quietly(
            lambda: self.child.run(answer, self.prompts(count, tokens), output_tokens, streams or count),
            lambda answered: answered.others_share,
        )

    def quietly(self, ask: Callable[[], T], others_share: Callable[[T], float]) -> T:
        """Ask again while other processes disturb, a few times; the least disturbed counts."""
        best = ask()
        for _ in range(_TRIES - 1):
            if others_share(best) <= BUSY_SHARE:
                break
            best = min(best, ask(), key=others_share)
        self.most_disturbed = max(self.most_disturbed, others_share(best))
        return best

    def warm_up(self) -> None:
        for tokens, count in _WARM_UP:
            self.child.run(answer, self.prompts(count, tokens), 4, count)


def _numbered(seed: str) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"{seed} {number}"


def long_prompt(asker: Asker) -> Figures:
    answered = asker.answer(2, LONG, 1, streams=1)
    return {f"first token of {LONG:,}, ms": 1000 * statistics.median(answered.first_token_s)}


def repeated_prompt(asker: Asker) -> Figures:
    prompts = asker.prompts(1, LONG)
    first = asker.child.run(answer, prompts, 1, 1)
    again = asker.child.run(answer, prompts, 1, 1)
    return {
        f"first token of {LONG:,}, ms": 1000 * first.first_token_s[0],
        "the same prompt again, ms": 1000 * again.first_token_s[0],
    }


def arrivals(asker: Asker) -> Figures:
    """Inter-token latency of eight streams while long prompts arrive one after another, and what these wait."""
    during, arrived = asker.quietly(
        lambda: asker.child.run(
            while_prompts_arrive, asker.prompts(_RUNNING, _SHORT), asker.prompts(_ARRIVALS, LONG), _RUNNING_TOKENS
        ),
        lambda both: both[0].others_share,
    )
    return {
        "arriving: ITL p50, ms": 1000 * statistics.median(during.gaps_s),
        "arriving: ITL p99, ms": 1000 * percentile(during.gaps_s, 0.99),
        "arriving: first token, ms": 1000 * statistics.median(arrived.first_token_s),
    }


def one_stream(asker: Asker) -> Figures:
    return {"one stream, tokens/s": _decoding(asker.answer(1, _SHORT, _ANSWER))}


def long_context(asker: Asker) -> Figures:
    return {f"one stream behind {_LONGEST:,}, tokens/s": _decoding(asker.answer(1, _LONGEST, _ANSWER // 2))}


def eight_streams(asker: Asker) -> Figures:
    return _streams(asker, 8)


def as_many_as(streams: int) -> "Question":
    def ask(asker: Asker) -> Figures:
        answered = asker.answer(streams, _SHORT, _ANSWER)
        return {
            "tokens/s, prefill included": answered.tokens_per_s,
            "tokens/s, decoding": streams * _decoding(answered),
            "ITL p50, ms": 1000 * statistics.median(answered.gaps_s),
        }

    return ask


def memory(asker: Asker) -> Figures:
    return {"memory, MiB": resident_bytes(asker.child.pid) / (1 << 20)}


def construction(asker: Asker) -> Figures:
    return {"construct, s": asker.child.construct_s}


Question = Callable[[Asker], Figures]


def _streams(asker: Asker, streams: int) -> Figures:
    answered = asker.answer(streams, _SHORT, _ANSWER)
    return {f"{streams} streams, tokens/s": answered.tokens_per_s}


def _decoding(answered: Answered) -> float:
    """Tokens per second of one stream once it is decoding: the first gaps may hold others' prefill, the median not."""
    return 1 / statistics.median(answered.gaps_s)
