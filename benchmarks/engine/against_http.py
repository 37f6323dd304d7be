"""The gateway over HTTP beside the raw engine, in turn, with the same prompts.

Both stay loaded, and one of them is idle while the other answers. The gateway is asked twice: by the load generator,
which computes on the same cores as the server that it measures, and by a client that costs next to nothing.
"""

import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.engine.child import EngineChild
from benchmarks.engine.from_settings import setup_for
from benchmarks.engine.gateway import Gateway
from benchmarks.engine.plain_client import ask
from benchmarks.engine.quiet import Meanwhile
from benchmarks.engine.workloads import answer
from benchmarks.load_generator import Answers, Load, run_load
from benchmarks.prompts import Prompt, Prompts

STREAMS = 16
_ALONE = 12
"""Prompts for the time to the first token, one after another: the raw engine's and the gateway's in turn."""
_FEW_TOKENS = 4
_MS_PER_S = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One round of one profile."""

    profile: str
    raw_tokens_per_s: float
    http_tokens_per_s: float
    plain_tokens_per_s: float
    """Over HTTP too, asked by the plain client."""
    raw_first_token_ms: float
    plain_first_token_ms: float
    """On the plain client's clock, which stands beside the socket."""
    http_first_token_ms: float
    """On the load generator's, whose own cost is in it."""
    seconds: float
    """That the answers to the load generator took."""
    generator_cpu_s: float
    """Its start and the writing of its report included, which are before and after those seconds."""
    gateway_cpu_s: float
    worker_cpu_s: float
    """While the load generator asked."""
    raw_cpu_s: float
    others_share: float
    """Of the machine, that processes which are no part of this took meanwhile: the most of the three times."""


Figures = dict[str, float]


def compare(profiles: Sequence[str], prompt_tokens: int, output_tokens: int, rounds: int, port: int) -> Iterable[Turn]:
    """Yield `rounds` turns of each profile as they are measured."""
    for profile in profiles:
        setup = setup_for(profile, "raw")
        with Gateway(port, PERFORMANCE_PROFILE=profile) as gateway, EngineChild(setup) as raw:
            gateway.wait_until_ready()
            pair = _Pair(gateway, raw, output_tokens)
            prompts = Prompts(setup.folder, prompt_tokens)
            pair.warm_up(prompts)
            for number in range(rounds):
                yield Turn(profile=profile, **pair.turn(prompts, number))


class _Pair:
    """The gateway and the raw engine, both loaded."""

    def __init__(self, gateway: Gateway, raw: EngineChild, output_tokens: int) -> None:
        self._gateway = gateway
        self._raw = raw
        self._tokens = output_tokens
        self._model = os.environ.get("MODEL_NAME", "demo")

    def warm_up(self, prompts: Prompts) -> None:
        made = prompts.make(STREAMS, "warm-up")
        self._ask_raw(made, _FEW_TOKENS, STREAMS)
        ask(self._gateway.port, self._model, made, _FEW_TOKENS, STREAMS)

    def turn(self, prompts: Prompts, number: int) -> Figures:
        """Measure each way; which comes first changes from round to round. Only new prompts, since each has a cache."""
        ways: list[Callable[[list[Prompt]], Figures]] = [self._raw_way, self._plain_way, self._http_way]
        figures: Figures = {"others_share": 0.0}
        for way in ways if number % 2 == 0 else reversed(ways):
            seed = f"round {number}" + (", the second time" if way == self._http_way else "")
            found = way(prompts.make(2 * STREAMS, seed))
            figures |= found | {"others_share": max(found["others_share"], figures["others_share"])}
        return figures | self._first_tokens(prompts.make(3 * _ALONE, f"round {number}, alone"))

    def _raw_way(self, many: list[Prompt]) -> Figures:
        answered = self._raw.run(answer, [prompt.token_ids for prompt in many], self._tokens, STREAMS)
        return {
            "raw_tokens_per_s": answered.tokens_per_s,
            "raw_cpu_s": answered.cpu_s,
            "others_share": answered.others_share,
        }

    def _plain_way(self, many: list[Prompt]) -> Figures:
        before, meanwhile = self._gateway.cpu_s(), Meanwhile()
        answers = ask(self._gateway.port, self._model, many, self._tokens, STREAMS)
        others = meanwhile.others_share(sum(self._gateway.cpu_s()) - sum(before))
        return {"plain_tokens_per_s": answers.tokens_per_s, "others_share": others}

    def _http_way(self, many: list[Prompt]) -> Figures:
        before, meanwhile = self._gateway.cpu_s(), Meanwhile()
        answers = self._run_load(many, self._tokens, STREAMS)
        gateway_cpu_s, worker_cpu_s = (now - then for now, then in zip(self._gateway.cpu_s(), before, strict=True))
        others = meanwhile.others_share(gateway_cpu_s + worker_cpu_s + answers.cpu_s)
        return {
            "http_tokens_per_s": answers.tokens_per_s,
            "seconds": answers.seconds,
            "generator_cpu_s": answers.cpu_s,
            "gateway_cpu_s": gateway_cpu_s,
            "worker_cpu_s": worker_cpu_s,
            "others_share": others,
        }

    def _first_tokens(self, alone: list[Prompt]) -> Figures:
        """Ask for one answer at a time, of one and of the other in turn: what drifts within seconds is everybody's."""
        raw, plain = [], []
        for ours, theirs in zip(alone[::3], alone[1::3], strict=True):
            raw.append(self._ask_raw([ours], _FEW_TOKENS, 1))
            plain.append(ask(self._gateway.port, self._model, [theirs], _FEW_TOKENS, 1).first_token_ms)
        return {
            "raw_first_token_ms": statistics.median(raw),
            "plain_first_token_ms": statistics.median(plain),
            "http_first_token_ms": statistics.median(self._run_load(alone[2::3], _FEW_TOKENS, 1).ttft_ms),
        }

    def _ask_raw(self, prompts: Sequence[Prompt], tokens: int, streams: int) -> float:
        """Return the median time to the first token, in milliseconds."""
        answered = self._raw.run(answer, [prompt.token_ids for prompt in prompts], tokens, streams)
        return _MS_PER_S * statistics.median(answered.first_token_s)

    def _run_load(self, prompts: Sequence[Prompt], tokens: int, streams: int) -> Answers:
        return run_load(self._gateway.url, self._model, Load(prompts, streams, tokens))
