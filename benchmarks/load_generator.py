"""aiperf, the load generator, as one call: the same requests to whichever server speaks `/v1/completions`.

It is NVIDIA's successor of genai-perf (https://github.com/ai-dynamo/aiperf) and lives in an environment of its own,
`.venv-aiperf`, which `make bench` makes. What it costs the processor is reported beside what it measured, because it
runs on the same cores as the server.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.prompts import Prompt

_REPOSITORY = Path(__file__).parents[1]
_IN_REPOSITORY = _REPOSITORY / ".venv-aiperf/bin/aiperf"
_SOME_TOKENIZER = _REPOSITORY / "demo_model/weights"
"""It wants one and does not use it, since the server counts; this one is small, and read at once."""
_NS_PER_S = 1e9
_MS_PER_S = 1e3
_FLAGS = (
    *("--endpoint-type", "completions", "--streaming", "--use-legacy-max-tokens", "--use-server-token-count"),
    *("--custom-dataset-type", "single-turn", "--dataset-sampling-strategy", "sequential"),
    # A connection for each request: cpp-httplib, under llama-server, drops some that are kept.
    *("--connection-reuse-strategy", "never"),
    *("--workers-max", "1", "--record-processor-service-count", "1"),
    *("--no-server-metrics", "--no-gpu-telemetry", "--ui", "none", "--export-level", "records"),
)


class LoadFailedError(Exception):
    """The load generator is missing, ended badly, or counted something else than was asked for; the message says."""


@dataclass(frozen=True, slots=True)
class Load:
    """Requests that are sent as fast as `streams` at a time allow, in the order of `prompts`."""

    prompts: Sequence[Prompt]
    streams: int
    output_tokens: int
    """Of each answer, exactly: greedy, and the end of text does not end it."""
    per_second: float = 200
    """How often a request may begin, if a stream is free. Left to itself, the generator looks for a free stream without
    pause, and takes most of a core for that."""
    extra: Mapping[str, object] = field(default_factory=lambda: {"temperature": 0, "ignore_eos": True})
    """Further keys of every request."""
    patience_s: float = 1800


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, on the load generator's clock."""

    begun_s: float
    """When its request began, since the epoch."""
    ended_s: float
    ttft_ms: float
    gaps_ms: list[float]
    """From each chunk of text to the next."""
    output_tokens: int
    """As the server counted them."""

    def gaps_within(self, begin_s: float, end_s: float) -> list[float]:
        """Those gaps that began in this time, in milliseconds."""
        at_s, found = self.begun_s + self.ttft_ms / _MS_PER_S, []
        for gap in self.gaps_ms:
            if begin_s <= at_s <= end_s:
                found.append(gap)
            at_s += gap / _MS_PER_S
        return found


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back, in the order in which requests were begun."""

    each: list[Answer]
    wall_s: float
    """How long the load generator ran, its start included."""
    cpu_s: float
    """Its processor time in all of `wall_s`."""

    @property
    def ttft_ms(self) -> list[float]:
        return [answer.ttft_ms for answer in self.each]

    @property
    def output_tokens(self) -> int:
        return sum(answer.output_tokens for answer in self.each)

    @property
    def seconds(self) -> float:
        """From the first request's beginning to the last one's end."""
        return max(answer.ended_s for answer in self.each) - self.each[0].begun_s

    @property
    def tokens_per_s(self) -> float:
        return self.output_tokens / self.seconds


def aiperf_version() -> str:
    """The load generator's version.

    Raises:
        LoadFailedError: it is not installed.
    """
    done = subprocess.run([_aiperf(), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def run_load(url: str, model: str, load: Load) -> Answers:
    """Send the load and wait for its end.

    Raises:
        LoadFailedError: a request failed, or an answer has another length than was asked for.
    """
    with tempfile.TemporaryDirectory(prefix="aiperf-") as scratch:
        folder = Path(scratch)
        begun = time.monotonic()
        cpu_s = _run(_command(url, model, load, folder), folder, load.patience_s)
        wall_s = time.monotonic() - begun
        return Answers(read_answers(folder / "profile_export.jsonl", load), wall_s, cpu_s)


def read_answers(records: Path, load: Load) -> list[Answer]:
    """Read what the load generator wrote, a line for each request.

    Raises:
        LoadFailedError: see `run_load`.
    """
    lines = [json.loads(line) for line in records.read_text(encoding="utf-8").splitlines()] if records.exists() else []
    lines.sort(key=lambda line: int(line["metadata"]["request_start_ns"]))
    failed = [str(line["error"]) for line in lines if line.get("error")]
    if failed or len(lines) != len(load.prompts):
        first = f"; the first: {failed[0][:300]}" if failed else ""
        raise LoadFailedError(f"{len(lines) - len(failed)} of {len(load.prompts)} requests were answered{first}")
    for line, prompt in zip(lines, load.prompts, strict=True):
        _check_lengths(line["metrics"], len(prompt.token_ids), load.output_tokens)
    return [_answer(line["metadata"], line["metrics"]) for line in lines]


def _answer(metadata: Mapping[str, Any], metrics: Mapping[str, Any]) -> Answer:
    return Answer(
        begun_s=metadata["request_start_ns"] / _NS_PER_S,
        ended_s=metadata["request_end_ns"] / _NS_PER_S,
        ttft_ms=_value(metrics, "time_to_first_token"),
        gaps_ms=metrics["inter_chunk_latency"]["value"] if "inter_chunk_latency" in metrics else [],
        output_tokens=int(_value(metrics, "usage_completion_tokens")),
    )


def _check_lengths(metrics: Mapping[str, Any], prompt_tokens: int, output_tokens: int) -> None:
    counted = (_value(metrics, "usage_prompt_tokens"), _value(metrics, "usage_completion_tokens"))
    if counted != (prompt_tokens, output_tokens):
        raise LoadFailedError(
            f"the server counted {counted[0]:.0f} tokens of prompt and {counted[1]:.0f} of answer,"
            f" expected {prompt_tokens} and {output_tokens}"
        )


def _value(metrics: Mapping[str, Any], name: str) -> float:
    if name not in metrics:
        raise LoadFailedError(f"no {name} was measured: does the server stream, and end with its usage?")
    return float(metrics[name]["value"])


def _command(url: str, model: str, load: Load, folder: Path) -> list[str]:
    prompts = folder / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"text": prompt.text}) + "\n" for prompt in load.prompts), encoding="utf-8")
    extra = json.dumps({"max_tokens": load.output_tokens} | dict(load.extra))
    return [
        *(_aiperf(), "profile", *_FLAGS, "--model", model, "--url", url, "--tokenizer", str(_SOME_TOKENIZER)),
        *("--input-file", str(prompts), "--extra-inputs", extra, "--output-artifact-dir", str(folder)),
        *("--concurrency", str(load.streams), "--request-count", str(len(load.prompts))),
        *("--request-rate", str(load.per_second), "--arrival-pattern", "constant"),
    ]


def _run(command: Sequence[str], folder: Path, patience_s: float) -> float:
    """Run the load generator and return its processor seconds, children included."""
    log = folder / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        watchdog = threading.Timer(patience_s, os.killpg, (process.pid, signal.SIGKILL))
        watchdog.start()
        _, status, usage = os.wait4(process.pid, 0)
        watchdog.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode == -signal.SIGKILL:
        raise LoadFailedError(f"the load was not answered within {patience_s:.0f} s")
    if process.returncode != 0 and not (folder / "profile_export.jsonl").exists():
        last = log.read_text(encoding="utf-8", errors="replace").strip()[-600:]
        raise LoadFailedError(f"aiperf ended with {process.returncode}: {last}")
    return usage.ru_utime + usage.ru_stime


def _aiperf() -> str:
    found = str(_IN_REPOSITORY) if _IN_REPOSITORY.exists() else shutil.which("aiperf")
    if found is None:
        raise LoadFailedError("aiperf is not installed: make .venv-aiperf/ready, or put it on the PATH")
    return found
