"""One server's turn in one round: every cell, one after the other, with the same load."""

import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.load_generator import Answers, Load, LoadFailedError, run_load
from benchmarks.prompts import Prompt, Prompts
from benchmarks.servers.contender import Server
from benchmarks.servers.process import RunningServer, ServerFailedError, started
from benchmarks.servers.records import Failure, Measurement

_MIB = 1 << 20
_TTFT_OUTPUT_TOKENS = 8
_FOLLOWED_BY_TOKENS = 16
"""What a repeated prefix is followed by, so that the prompt is not the same to its end."""
_STEADY_STREAMS = 8
_ARRIVING_OUTPUT_TOKENS = 2


@dataclass(frozen=True, slots=True)
class Size:
    """How much is asked of everyone."""

    streams: tuple[int, ...] = (1, 4, 8, 16, 32)
    prompt_tokens: int = 256
    output_tokens: int = 128
    ttft_tokens: tuple[int, ...] = (32, 512, 2048)
    ttft_requests: int = 3
    arrivals: int = 2
    arrivals_per_s: float = 0.3
    steady_waves: int = 1
    """How many answers each of the steady streams gives while long prompts arrive."""

    @property
    def long_tokens(self) -> int:
        return self.ttft_tokens[-1]


QUICK = Size((1, 4), 64, 32, (32, 512), ttft_requests=2, arrivals=2, arrivals_per_s=1.0, steady_waves=1)

Entry = Measurement | Failure


@dataclass(slots=True)
class Turn:
    """One server's turn: what it measures, and what could not be measured."""

    round: int
    server: Server
    folder: Path
    """Where the tokenizer is."""
    size: Size

    def take(self) -> Iterator[Entry]:
        """Start the server, ask for every cell, end it; what fails is an entry of its own, and the rest goes on."""
        try:
            with started(self.server) as (running, seconds):
                yield self._measured("start_up", seconds, 1)
                yield from self._first_tokens(running)
                for streams in self.size.streams:
                    yield from self._throughput(running, streams)
                yield from self._while_prompts_arrive(running)
                yield self._measured("peak_memory", running.peak_memory_bytes() / _MIB, 1)
        except ServerFailedError as error:
            yield self._failed(None, str(error))

    def _first_tokens(self, running: RunningServer) -> Iterator[Entry]:
        """Prompts of each length, alone and new; then the last one's text again, followed by something else."""
        size, count = self.size, self.size.ttft_requests
        prompts = [prompt for length in size.ttft_tokens for prompt in self._prompts(length, count, "ttft")]
        tails = self._prompts(_FOLLOWED_BY_TOKENS, count, "tail")
        repeated = [Prompt(prompts[-1].token_ids + tail.token_ids, prompts[-1].text + tail.text) for tail in tails]
        keys = [f"ttft_{length}" for length in size.ttft_tokens] + [f"ttft_repeated_{size.long_tokens}"]
        load = Load([*prompts, *repeated], 1, _TTFT_OUTPUT_TOKENS, extra=self.server.extra)
        try:
            answers = self._run(running, load)
        except LoadFailedError as error:
            yield from (self._failed(key, str(error)) for key in keys)
            return
        for number, key in enumerate(keys):
            own = answers.ttft_ms[number * count : (number + 1) * count]
            yield self._measured(key, statistics.median(own), count, answers)

    def _throughput(self, running: RunningServer, streams: int) -> Iterator[Entry]:
        key = f"tokens_{streams}"
        if (skipped := self._skipped(key)) is not None:
            yield skipped
            return
        load = self._load(self.size.prompt_tokens, max(streams, 2), key, streams, self.size.output_tokens)
        try:
            answers = self._run(running, load)
        except LoadFailedError as error:
            yield self._failed(key, str(error))
        else:
            yield self._measured(key, answers.tokens_per_s, answers.output_tokens, answers)

    def _while_prompts_arrive(self, running: RunningServer) -> Iterator[Entry]:
        """Gaps between the tokens of steady streams, from the first long prompt's arrival to the last one's end."""
        keys = ("itl_p50", "itl_p99", "arriving_ttft")
        if skipped := [entry for key in keys if (entry := self._skipped(key)) is not None]:
            yield from skipped
            return
        size = self.size
        long = self._load(size.long_tokens, size.arrivals, "arriving", size.arrivals, _ARRIVING_OUTPUT_TOKENS)
        short_count = _STEADY_STREAMS * size.steady_waves
        short = self._load(size.prompt_tokens, short_count, "steady", _STEADY_STREAMS, size.output_tokens)
        try:
            with ThreadPoolExecutor(2) as both:
                arriving = both.submit(self._run, running, replace(long, per_second=size.arrivals_per_s))
                steady, arrived = self._run(running, short), arriving.result()
        except LoadFailedError as error:
            yield from (self._failed(key, str(error)) for key in keys)
            return
        begin, end = arrived.each[0].begun_s, max(answer.ended_s for answer in arrived.each)
        gaps = sorted(gap for answer in steady.each for gap in answer.gaps_within(begin, end))
        if not gaps:
            yield from (self._failed(key, "the streams had ended before the first long prompt came") for key in keys)
            return
        for key, value in (("itl_p50", statistics.median(gaps)), ("itl_p99", gaps[int(0.99 * (len(gaps) - 1))])):
            if value > 0:
                yield self._measured(key, value, len(gaps), steady)
            else:
                yield self._failed(key, "tokens came together, so that there was no time between them")
        yield self._measured("arriving_ttft", statistics.median(arrived.ttft_ms), len(arrived.each), arrived)

    def _skipped(self, key: str) -> Failure | None:
        if key in self.server.left_out:
            return Failure(contender=self.server.key, cell=key, reason=self.server.left_out[key], kind="left out")
        return None

    def _prompts(self, length: int, count: int, what: str) -> list[Prompt]:
        """Prompts that this server has not seen, and that every server gets in this round."""
        return Prompts(self.folder, length).make(count, f"{self.round} {what} {length}")

    def _load(self, length: int, count: int, what: str, streams: int, output_tokens: int) -> Load:
        return Load(self._prompts(length, count, what), streams, output_tokens, extra=self.server.extra)

    def _run(self, running: RunningServer, load: Load) -> Answers:
        return run_load(running.url, self.server.model, load)

    def _measured(self, key: str, value: float, samples: int, answers: Answers | None = None) -> Measurement:
        return Measurement(
            round=self.round,
            contender=self.server.key,
            cell=key,
            value=value,
            samples=samples,
            generator_cpu_s=answers.cpu_s if answers else None,
            wall_s=answers.wall_s if answers else None,
        )

    def _failed(self, key: str | None, reason: str) -> Failure:
        return Failure(round=self.round, contender=self.server.key, cell=key, reason=reason)
