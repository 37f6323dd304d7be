"""What an engine is asked to do, and what it took; these run beside the engine, in its process."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.engine.quiet import Meanwhile

if TYPE_CHECKING:
    from benchmarks.engine.drivers import Driver  # at runtime it brings the library, which only the child needs

Prompt = Sequence[int]


@dataclass(slots=True)
class Answered:
    """What it took to answer some prompts."""

    seconds: float = 0.0
    output_tokens: int = 0
    first_token_s: list[float] = field(default_factory=list)
    """Of each prompt, from its beginning."""
    gaps_s: list[float] = field(default_factory=list)
    """Between the tokens of one sequence, of all sequences."""
    inside_steps_s: float = 0.0
    """Time that was spent in `step()`."""
    cpu_s: float = 0.0
    """CPU time of the process."""
    others_share: float = 0.0
    """Share of the machine that other processes took meanwhile."""

    @property
    def tokens_per_s(self) -> float:
        return self.output_tokens / self.seconds


@dataclass(slots=True)
class _Open:
    begun: float
    last: float | None = None


def answer(driver: "Driver", prompts: Sequence[Prompt], output_tokens: int, streams: int) -> Answered:
    """Answer all prompts, at most `streams` at a time: where one ends, the next begins.

    Raises:
        RuntimeError: there were other than `output_tokens` for each.
    """
    waiting, open_, done = list(reversed(prompts)), dict[int, _Open](), Answered()
    start, meanwhile = time.perf_counter(), Meanwhile()
    while waiting or open_:
        while waiting and len(open_) < streams:
            begun = time.perf_counter()
            open_[driver.begin(waiting.pop(), output_tokens)] = _Open(begun)
        _step(driver, open_, done)
    done.seconds, done.cpu_s = time.perf_counter() - start, meanwhile.own_s()
    done.others_share = meanwhile.others_share()
    if done.output_tokens != len(prompts) * output_tokens:
        raise RuntimeError(f"there were {done.output_tokens} tokens, expected {len(prompts) * output_tokens}")
    return done


def while_prompts_arrive(
    driver: "Driver", running: Sequence[Prompt], arriving: Sequence[Prompt], longest: int
) -> tuple[Answered, Answered]:
    """Decode the running sequences while the others arrive one after another, each for one token.

    Returns:
        The gaps between the running sequences' tokens from the first arrival to the last one's end, and the first-token
        times of those that arrived.

    Raises:
        RuntimeError: the running ones ended, at `longest` tokens, before all had arrived.
    """
    open_ = {driver.begin(prompt, longest): _Open(time.perf_counter()) for prompt in running}
    before, during, arrived = Answered(), Answered(), Answered()
    while len(before.first_token_s) < len(running):
        _step(driver, open_, before)
    meanwhile = Meanwhile()
    for prompt in arriving:
        newcomer = driver.begin(prompt, 1)
        begun = time.perf_counter()
        late = {newcomer: _Open(begun)}
        while late:
            _step(driver, open_, during, late, arrived)
    during.others_share = meanwhile.others_share()
    if len(open_) < len(running):
        raise RuntimeError(f"the running sequences reached {longest} tokens too early; give them more")
    for sequence in open_:
        driver.cancel(sequence)
    while driver.has_work():
        driver.step()
    return during, arrived


def _step(
    driver: "Driver",
    open_: dict[int, _Open],
    done: Answered,
    others: dict[int, _Open] | None = None,
    others_done: Answered | None = None,
) -> None:
    """Step once, and book each gain with those that it belongs to."""
    start = time.perf_counter()
    gains = driver.step()
    now = time.perf_counter()
    done.inside_steps_s += now - start
    for gain in gains:
        if gain.sequence in open_:
            _book(gain.sequence, gain.num_tokens, gain.ended, now, open_, done)
        elif others is not None and others_done is not None:
            _book(gain.sequence, gain.num_tokens, gain.ended, now, others, others_done)


def _book(sequence: int, num_tokens: int, ended: bool, now: float, open_: dict[int, _Open], done: Answered) -> None:
    mine = open_[sequence]
    done.output_tokens += num_tokens
    if mine.last is None:
        done.first_token_s.append(now - mine.begun)
    else:
        done.gaps_s.append(now - mine.last)
    mine.last = now
    if ended:
        del open_[sequence]
