"""The engine driven directly, in one process without a gateway: what the hardware and the library give.

    MODEL_STORE=... MODEL_NAME=... python -m benchmarks.raw_engine             # each profile that is on the volume
    python -m benchmarks.raw_engine --against-http                             # beside the gateway over HTTP, in turn

The settings are read as the gateway reads them, and the engine gets the options that the gateway would give it.
"""

import argparse
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.engine.child import EngineChild
from benchmarks.engine.from_settings import PROFILES, setup_for
from benchmarks.engine.setup import Setup
from benchmarks.engine.tables import markdown
from benchmarks.engine.workloads import Answered, answer
from benchmarks.memory_bandwidth import read_bandwidth_gb_s
from benchmarks.prompts import Prompts

WARM_UP_LENGTHS = (12, 96, 384)
"""Tokens of the prompts that warm it, about those of the gateway's own warm-up; each answer is four tokens long."""
_WARM_UP_ANSWER = 4


@dataclass(frozen=True, slots=True)
class Workload:
    """What is asked."""

    prompt_tokens: int = 256
    output_tokens: int = 128


@dataclass(frozen=True, slots=True)
class RawFigures:
    """What one engine made of it."""

    profile: str
    construct_s: float
    warm_up_s: float
    first_token_ms: dict[str, float]
    """By the number of streams: median over the prompts; beyond one stream it includes the others' prefill."""
    tokens_per_s: dict[str, float]
    """Output tokens over the time from the first prompt to the last token, prefill and all."""
    decoding_tokens_per_s: float
    """Of the fewest streams, between its tokens."""
    bandwidth_share: float
    """Bytes of weights times those tokens per second, over the bytes that all cores can read in a second: one stream
    reads every weight for each token, so it cannot go beyond 1. Tied embeddings are read whole, at the end."""


class RawEngine:
    """A loaded and warm engine in a process of its own."""

    def __init__(self, setup: Setup) -> None:
        self.child = EngineChild(setup)
        self._folder = setup.folder
        self._count = 0
        self.warm_up_s = self._warm_up()

    def answer(self, workload: Workload, streams: int) -> Answered:
        """Answer prompts that it has not seen, one for each stream."""
        return self.child.run(answer, self._prompts(workload, streams), workload.output_tokens, streams)

    def close(self) -> None:
        self.child.close()

    def _prompts(self, workload: Workload, count: int) -> list[list[int]]:
        self._count += 1
        made = Prompts(self._folder, workload.prompt_tokens).make(count, seed=f"raw {self._count}")
        return [prompt.token_ids for prompt in made]

    def _warm_up(self) -> float:
        prompts = [Prompts(self._folder, tokens).make(1, seed="warm-up")[0].token_ids for tokens in WARM_UP_LENGTHS]
        return self.child.run(answer, prompts, _WARM_UP_ANSWER, 1).seconds


def measure(profile: str, streams: Sequence[int], workload: Workload, rounds: int) -> RawFigures:
    """Load one profile's engine and answer at each number of streams, `rounds` times; medians."""
    setup = setup_for(profile, "raw")
    engine = RawEngine(setup)
    answers: dict[int, list[Answered]] = {count: [] for count in streams}
    try:
        for _ in range(rounds):
            for count in streams:
                answers[count].append(engine.answer(workload, count))
    finally:
        engine.close()
    decoding = 1 / statistics.median(gap for one in answers[min(streams)] for gap in one.gaps_s)
    weights_bytes = (setup.folder / "openvino_model.bin").stat().st_size
    return RawFigures(
        profile=profile,
        construct_s=engine.child.construct_s,
        warm_up_s=engine.warm_up_s,
        first_token_ms={
            str(count): 1000 * statistics.median(first for one in several for first in one.first_token_s)
            for count, several in answers.items()
        },
        tokens_per_s={
            str(count): statistics.median(one.tokens_per_s for one in several) for count, several in answers.items()
        },
        decoding_tokens_per_s=decoding,
        bandwidth_share=decoding * weights_bytes / (1e9 * read_bandwidth_gb_s()),
    )


def main() -> None:
    arguments = _arguments()
    workload = Workload(arguments.prompt_tokens, arguments.output_tokens)
    if arguments.against_http:
        _compare(arguments, workload)
        return
    figures = [measure(profile, arguments.streams, workload, arguments.rounds) for profile in arguments.profiles]
    print(json.dumps([asdict(one) for one in figures], indent=2) if arguments.json else "\n".join(_table(figures)))


def _compare(arguments: argparse.Namespace, workload: Workload) -> None:
    from benchmarks.engine.against_http import Turn, compare  # brings what drives HTTP, which this alone needs
    from benchmarks.engine.http_report import report, write

    turns: list[Turn] = []
    for turn in compare(
        arguments.profiles, workload.prompt_tokens, workload.output_tokens, arguments.rounds, arguments.port
    ):
        turns.append(turn)
        if arguments.out is not None:
            write(turns, arguments.out)
        print(f"{turn.profile}: {turn.http_tokens_per_s / turn.raw_tokens_per_s:.3f} of the raw engine", flush=True)
    print(report(turns))


def _table(figures: Sequence[RawFigures]) -> Iterable[str]:
    streams = list(figures[0].tokens_per_s)
    heads = ["profile", "construct, s", "warm-up, s", "first token, ms", *(f"{count} streams" for count in streams)]
    heads += ["decoding", "of the memory's limit"]
    rows = [
        [
            one.profile,
            f"{one.construct_s:.2f}",
            f"{one.warm_up_s:.2f}",
            f"{one.first_token_ms[streams[0]]:.0f}",
            *(f"{one.tokens_per_s[count]:.1f}" for count in streams),
            f"{one.decoding_tokens_per_s:.1f}",
            f"{one.bandwidth_share:.2f}",
        ]
        for one in figures
    ]
    return [markdown(heads, rows)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Drive the engine directly, in one process without a gateway.")
    parser.add_argument("--streams", type=_numbers, default=[1, 8, 16], help="numbers of streams, such as 1,8,16")
    parser.add_argument("--prompt-tokens", type=int, default=256)
    parser.add_argument("--output-tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profiles", type=lambda text: text.split(","), default=list(PROFILES))
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--against-http", action="store_true", help="in turn with the gateway over HTTP")
    parser.add_argument("--port", type=int, default=0, help="the gateway's port; 0 takes a free one")
    parser.add_argument("--out", type=Path, help="file for what the comparison measured, as JSON")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


if __name__ == "__main__":
    main()
