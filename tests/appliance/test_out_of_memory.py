"""The kernel runs out of memory inside the container's limit and takes the worker: one model's answers, and no more."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import httpx

from tests.support.appliance import GATEWAY, PATIENCE_S, Appliance

LIMIT = "1g"
QUESTION = "How do I change the port?"
_KILLED = 137
DIED = "the model's process ended while it worked on this request"

TAKE_ALL_MEMORY = """
import pathlib, sys

def command(process):
    try:
        return (process / 'cmdline').read_bytes().split(bytes(1))
    except OSError:
        return []

def lives(process):
    try:
        return (process / 'stat').read_text().rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return False

[worker] = [each for each in pathlib.Path('/proc').glob('[0-9]*') if b'llm_gateway.workers.main' in command(each)]
# Of all that share the limit the kernel takes the one with the highest score; anybody may raise that of its own.
(worker / 'oom_score_adj').write_text('1000')
pathlib.Path('/proc/self/oom_score_adj').write_text('200')  # the next, should the worker not be gone at once
taken = []
while lives(worker) and len(taken) < 512:
    taken.append(bytearray(b'x') * (16 << 20))
sys.exit(lives(worker))
"""


def _ask_until_it_fails(appliance: Appliance, enough: Event) -> str:
    """Keep the engine busy; returns the answer in the middle of which its process ended, or the refusal after it."""
    body = {"prompt": "Go on.", "stream": True, "max_tokens": 1900, "ignore_eos": True, "n": 4}
    while not enough.is_set():
        response = httpx.post(f"{appliance.url}/v1/completions", json=body, timeout=PATIENCE_S)
        assert response.status_code in {200, 503}, response.text
        if response.status_code == 503 or DIED in response.text:
            return response.text
    return ""


def test_the_out_of_memory_killer_takes_the_worker_and_the_gateway_says_so_and_loads_it_again(
    served: Appliance,
) -> None:
    served.up(MEMORY_LIMIT=LIMIT)
    before = served.generate(QUESTION)["text"]
    started = served.inspect(GATEWAY)["State"]["StartedAt"]
    enough = Event()
    with ThreadPoolExecutor() as pool, _set_at_the_end(enough):
        held = [pool.submit(_ask_until_it_fails, served, enough) for _ in range(2)]
        while "preheat_requests_running 2" not in httpx.get(f"{served.url}/metrics").text:
            pass
        taken = served.python(GATEWAY, TAKE_ALL_MEMORY)
        # The kernel may take whoever took the memory as well, while the worker is on its way out.
        assert taken.exit_code in {0, _KILLED}, f"the worker outlived a full container: {taken.output}"
        enough.set()
        cut = [asking.result() for asking in held if DIED in asking.result()]
        assert cut, "nobody was in the middle of an answer"
        assert all(answer.rstrip().endswith("data: [DONE]") for answer in cut), "told, and ended as streams end"

    _until_healthy(served)
    assert served.generate(QUESTION)["text"] == before
    assert "signal 9 (SIGKILL: often the kernel, out of memory)" in served.logs(GATEWAY)
    description = served.inspect(GATEWAY)
    assert (description["State"]["StartedAt"], description["RestartCount"]) == (started, 0), served.logs(GATEWAY)


@contextmanager
def _set_at_the_end(event: Event) -> Iterator[None]:
    try:
        yield
    finally:
        event.set()


def _until_healthy(appliance: Appliance) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while appliance.health()[0] != 200:
        assert time.monotonic() < deadline, appliance.logs(GATEWAY)
