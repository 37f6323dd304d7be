"""What the comparison with HTTP says: a row for each profile, and whether what was promised was kept."""

import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.engine.against_http import Turn
from benchmarks.engine.tables import markdown, spread

_FEWEST_SHARE = 0.95
_MOST_LATER_MS = 5.0


def write(turns: Sequence[Turn], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(turn) for turn in turns], indent=2) + "\n", encoding="utf-8")


def report(turns: Sequence[Turn]) -> str:
    heads = [
        *("profile", "raw, tokens/s", "HTTP, tokens/s", "ratio", "plain client, tokens/s", "ratio"),
        *("first token raw, ms", "plain client, later by ms", "load generator, later by ms"),
        *("gateway CPU, us/token", "worker CPU / raw CPU", "generator, % of the machine", "others, % of the machine"),
    ]
    by_profile = {name: [turn for turn in turns if turn.profile == name] for name in _profiles(turns)}
    rows = [_row(name, own) for name, own in by_profile.items()]
    return "\n".join([markdown(heads, rows), "", *(_verdict(name, own) for name, own in by_profile.items())])


def _profiles(turns: Sequence[Turn]) -> list[str]:
    return list(dict.fromkeys(turn.profile for turn in turns))


def _row(profile: str, turns: Sequence[Turn]) -> list[str]:
    cores = len(os.sched_getaffinity(0))
    return [
        profile,
        spread([turn.raw_tokens_per_s for turn in turns]),
        spread([turn.http_tokens_per_s for turn in turns]),
        spread([turn.http_tokens_per_s / turn.raw_tokens_per_s for turn in turns]),
        spread([turn.plain_tokens_per_s for turn in turns]),
        spread([turn.plain_tokens_per_s / turn.raw_tokens_per_s for turn in turns]),
        spread([turn.raw_first_token_ms for turn in turns]),
        spread([turn.plain_first_token_ms - turn.raw_first_token_ms for turn in turns]),
        spread([turn.http_first_token_ms - turn.raw_first_token_ms for turn in turns]),
        spread([1e6 * turn.gateway_cpu_s / (turn.http_tokens_per_s * turn.seconds) for turn in turns]),
        spread([turn.worker_cpu_s / turn.raw_cpu_s for turn in turns]),
        spread([100 * turn.generator_cpu_s / (cores * turn.seconds) for turn in turns]),
        spread([100 * turn.others_share for turn in turns]),
    ]


def _verdict(profile: str, turns: Sequence[Turn]) -> str:
    ratio = statistics.median(turn.http_tokens_per_s / turn.raw_tokens_per_s for turn in turns)
    plain = statistics.median(turn.plain_tokens_per_s / turn.raw_tokens_per_s for turn in turns)
    later_ms = statistics.median(turn.plain_first_token_ms - turn.raw_first_token_ms for turn in turns)
    return (
        f"- {profile}: {_kept(kept=ratio >= _FEWEST_SHARE)}, {ratio:.3f} of the raw engine's tokens per second with "
        f"the load generator on the same cores, {plain:.3f} with the plain client (promised {_FEWEST_SHARE}); "
        f"{_kept(kept=later_ms <= _MOST_LATER_MS)}, {later_ms:+.1f} ms to the first token "
        f"(promised at most {_MOST_LATER_MS:.0f})"
    )


def _kept(*, kept: bool) -> str:
    return "pass" if kept else "FALLS SHORT"
