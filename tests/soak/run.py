"""The run itself: clients in threads, a worker that is killed now and then, and what there is to say afterwards."""

import os
import random
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import httpx

from tests.soak.clients import Seen, one
from tests.soak.levels import Level, grown, settled, worker_of
from tests.support.gateway_process import GatewayProcess
from tests.support.metrics import accepted_and_ended, metrics

_LOOK_EVERY_S: Final = 0.5
_PATIENCE_S: Final = 120.0
_WARM_UP_SHARE, _LONGEST_WARM_UP_S = 0.1, 60.0
_QUIET_SHARE: Final = 1 / 3
"""In the last third nobody is killed, so that the last worker has lived long enough to have lost something."""
_WHOLE_CONTEXT: Final = {"prompt": "Go on.", "max_tokens": 1900, "ignore_eos": True}


@dataclass(slots=True)
class Findings:
    """What a soak has seen."""

    seconds: float
    seen: list[Seen] = field(default_factory=list)
    worker_kills: int = 0
    slowest_health_ms: float = 0.0
    accepted: int = 0
    ended: dict[str, int] = field(default_factory=dict)
    before: Level | None = None
    after: Level | None = None
    losses: list[str] = field(default_factory=list)

    @property
    def what(self) -> Counter[str]:
        return Counter(seen.what for seen in self.seen)

    @property
    def kinds(self) -> Counter[str]:
        return Counter(seen.kind for seen in self.seen)


def soak(running: GatewayProcess, seconds: float, num_clients: int, kill_every_s: float, seed: int) -> Findings:
    """Use a gateway that is ready, with all kinds of clients at once; afterwards it has been stopped.

    It is used a little before the first look, so that what is made once has been made.
    """
    findings = Findings(seconds)
    try:
        _walk(running, findings, num_clients, kill_every_s, seed)
    except httpx.TransportError as error:
        code = running.process.poll()
        how = "is still running" if code is None else f"ended with exit code {code}"
        findings.losses.append(f"the gateway does not answer any more ({type(error).__name__}: {error}), and {how}")
    running.terminate()
    code = running.exit_code()
    if code != 0:
        findings.losses.append(f"the gateway ended with exit code {code}, expected 0")
    findings.losses += _what_the_log_lacks(running, findings.seen)
    return findings


def _walk(running: GatewayProcess, findings: Findings, num_clients: int, kill_every_s: float, seed: int) -> None:
    warm_up_s = min(_LONGEST_WARM_UP_S, findings.seconds * _WARM_UP_SHARE)
    _use(running, findings, warm_up_s, num_clients, kill_every_s=None, seed=seed)
    findings.before = settled(running)
    main_s = findings.seconds - warm_up_s
    _use(running, findings, main_s, num_clients, kill_every_s=min(kill_every_s, main_s / 2), seed=seed + 1)
    _fill_the_context(running, findings)
    findings.after = settled(running)
    findings.losses += grown(findings.before, findings.after)
    _count(running, findings)


def _use(
    running: GatewayProcess,
    findings: Findings,
    seconds: float,
    num_clients: int,
    *,
    kill_every_s: float | None,
    seed: int,
) -> None:
    end = time.monotonic() + seconds
    with ThreadPoolExecutor(num_clients) as pool:
        clients = [pool.submit(_client, running, findings, end, f"{seed}-{number}") for number in range(num_clients)]
        _disturb(running, findings, end, seconds, kill_every_s)
        for client in clients:
            client.result()
    _until_quiet(running, findings)


def _client(running: GatewayProcess, findings: Findings, end: float, name: str) -> None:
    draw, number = random.Random(name), 0
    while time.monotonic() < end:
        number += 1
        seen = one(running, draw, f"soak-{name}-{number}")
        findings.seen.append(seen)  # which is atomic
        if seen.what == "lost" and running.process.poll() is not None:
            return


def _disturb(
    running: GatewayProcess, findings: Findings, end: float, seconds: float, kill_every_s: float | None
) -> None:
    """Ask how things are, and kill the worker when it is time to and it is at work."""
    last_kill = end - seconds * _QUIET_SHARE
    next_kill = end - seconds + kill_every_s if kill_every_s is not None else float("inf")
    while (now := time.monotonic()) < end and running.process.poll() is None:
        ready = running.client.get("/health").status_code == 200
        findings.slowest_health_ms = max(findings.slowest_health_ms, 1000 * (time.monotonic() - now))
        worker = worker_of(running)
        if next_kill <= now < last_kill and ready and worker and metrics(running)["preheat_requests_running"]:
            os.kill(worker, signal.SIGKILL)
            findings.worker_kills += 1
            next_kill = now + (kill_every_s or 0)
        time.sleep(_LOOK_EVERY_S)


def _until_quiet(running: GatewayProcess, findings: Findings) -> None:
    """Wait until nobody holds a place and the model is ready; what takes too long for that is lost."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if running.client.get("/readyz").status_code == 200 and not metrics(running)["preheat_requests_running"]:
            return
        time.sleep(_LOOK_EVERY_S)
    findings.losses.append(
        f"{_PATIENCE_S:g} s after the last client there are still places taken, or no model is ready"
    )


def _fill_the_context(running: GatewayProcess, findings: Findings) -> None:
    """Ask for an answer that needs most of a small KV cache: of blocks that were not given back there are none."""
    answer = running.client.post("/v1/completions", json=_WHOLE_CONTEXT)
    made = answer.json().get("usage", {}).get("completion_tokens")
    if made != _WHOLE_CONTEXT["max_tokens"]:
        findings.losses.append(
            f"an answer that needs most of the KV cache has {made} tokens, expected {_WHOLE_CONTEXT['max_tokens']}: "
            f"{answer.text[:300]}"
        )


def _count(running: GatewayProcess, findings: Findings) -> None:
    findings.accepted, findings.ended = accepted_and_ended(running)
    total = sum(findings.ended.values())
    if total != findings.accepted:
        findings.losses.append(f"{findings.accepted} requests were accepted and {total} have ended: {findings.ended}")
    lost = [seen for seen in findings.seen if seen.what == "lost"]
    findings.losses += [f"{seen.request_id} ({seen.way}, {seen.kind}) was lost: {seen.why_lost}" for seen in lost]


def _what_the_log_lacks(running: GatewayProcess, everybody: list[Seen]) -> list[str]:
    """Every request has one line, which agrees with what its client saw; nothing went wrong in an unforeseen way."""
    ids = [str(line["id"]) for line in running.log if line.get("event") == "request" and line.get("id")]
    lines, losses = Counter(ids), []
    outcomes = {str(line.get("id")): line.get("outcome") for line in running.log if line.get("event") == "request"}
    for seen in everybody:
        if lines[seen.request_id] != 1:
            losses.append(f"{seen.request_id} ({seen.way}, {seen.kind}) has {lines[seen.request_id]} lines, expected 1")
        expected = {
            "told": {"failed"},
            "answered": {"finished"},
            "turned away": {"refused", "failed"},
            "refused": {"refused", "failed"},
        }
        if seen.way != "batch" and outcomes.get(seen.request_id) not in expected.get(
            seen.what, {outcomes.get(seen.request_id)}
        ):
            losses.append(f"{seen.request_id} was {seen.what} and its line says {outcomes.get(seen.request_id)}")
    text = running.log_text()
    return losses + [f"the log says {words!r}" for words in ("Traceback", "request ended twice") if words in text]
