"""From process start to READY, beside what the engine alone takes to construct and warm up.

    MODEL_STORE=... MODEL_NAME=... python -m benchmarks.start_up

In turn, each in a fresh process, with the weights in the page cache: the gateway, whose clock runs from the start of
its process to its line `ready`; and the engine with the same options and prompts of the same lengths as the gateway's
warm-up, whose clock runs from the start of its process, imports and all, to its last token.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine.child import EngineChild
from benchmarks.engine.from_settings import PROFILES, setup_for
from benchmarks.engine.gateway import Gateway
from benchmarks.engine.setup import Setup
from benchmarks.engine.tables import markdown, spread
from benchmarks.engine.workloads import answer
from llm_gateway.models.warm_up import MEASURED, own_prompts
from llm_gateway.prompt.tokenizer import PromptTokenizer

MOST_RATIO = 1.5


@dataclass(frozen=True, slots=True)
class Start:
    """One start of each, in seconds."""

    ready_s: float
    load_s: float
    """As the gateway's own log has it."""
    engine_s: float
    construct_s: float
    warm_up_s: float
    """Of the engine alone."""

    @property
    def ratio(self) -> float:
        return self.ready_s / self.engine_s


def measure(profile: str, rounds: int, port: int) -> list[Start]:
    """Start both in turn, `rounds` times."""
    setup = setup_for(profile, "raw")
    prompts = _warm_up_prompts(setup.folder, setup.options.context_tokens)
    _page_in(setup.folder)
    starts = []
    for number in range(rounds):
        if number % 2 == 0:
            ready, alone = _gateway(profile, port), _engine(setup, prompts)
        else:
            alone, ready = _engine(setup, prompts), _gateway(profile, port)
        starts.append(Start(*ready, *alone))
    return starts


def _gateway(profile: str, port: int) -> tuple[float, float]:
    with Gateway(port, PERFORMANCE_PROFILE=profile) as gateway:
        seconds, line = gateway.wait_until_ready()
        return seconds, float(line["load_s"])


def _engine(setup: Setup, prompts: Sequence[tuple[list[int], int]]) -> tuple[float, float, float]:
    started = time.perf_counter()
    with EngineChild(setup) as child:
        constructed = time.perf_counter()
        for prompt, tokens in prompts:
            child.run(answer, [prompt], tokens, 1)
        ended = time.perf_counter()
        return ended - started, child.construct_s, ended - constructed


def _warm_up_prompts(folder: Path, context_tokens: int) -> list[tuple[list[int], int]]:
    """The gateway's own, as token ids and the length of the answer."""
    tokenizer = PromptTokenizer.load(folder)
    requests = [*own_prompts(context_tokens), MEASURED]
    return [
        (tokenizer.encode(request.prompt.text or "", add_special_tokens=True), request.max_tokens or 0)
        for request in requests
    ]


def _page_in(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as file:
            while file.read(1 << 24):
                pass


def report(profile: str, starts: Sequence[Start]) -> list[str]:
    """One row of the table."""
    return [
        profile,
        *(
            spread([getattr(start, name) for start in starts])
            for name in ("ready_s", "engine_s", "ratio", "load_s", "construct_s", "warm_up_s")
        ),
    ]


def verdict(profile: str, starts: Sequence[Start]) -> str:
    """One sentence with the median of the ratios."""
    ratio = statistics.median(start.ratio for start in starts)
    kept = "pass" if ratio <= MOST_RATIO else "FALLS SHORT"
    return f"- {profile}: {kept}, {ratio:.2f} times the engine alone (promised at most {MOST_RATIO})"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure process start to READY beside the engine alone.")
    parser.add_argument("--profiles", type=lambda text: text.split(","), default=list(PROFILES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port", type=int, default=0, help="the gateway's port; 0 takes a free one")
    arguments = parser.parse_args()
    heads = ["profile", "READY, s", "engine alone, s", "ratio", "load, s", "construct alone, s", "warm-up alone, s"]
    measured = {profile: measure(profile, arguments.rounds, arguments.port) for profile in arguments.profiles}
    print(markdown(heads, [report(profile, starts) for profile, starts in measured.items()]), end="\n\n")
    print("\n".join(verdict(profile, starts) for profile, starts in measured.items()))


if __name__ == "__main__":
    main()
