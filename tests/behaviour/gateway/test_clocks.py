"""A clock on the wall that jumps by days and years at every look: nothing that anybody waits for depends on it."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from model_store.layout import StoreLayout
from model_store.progress_note import ProgressNote, write_note
from tests.support.gateway_process import REPOSITORY, GatewayProcess, gateway
from tests.support.metrics import accepted_and_ended, until_running

JUMPING_CLOCK = f"{REPOSITORY / 'tests' / 'support' / 'jumping_clock'}"
HOUR_S = 3600


@pytest.fixture(scope="module")
def dizzy(demo_store: Path) -> Iterator[GatewayProcess]:
    settings = {"ENGINE": "fake", "FAKE_ENGINE": "tokens_per_s=200", "MAX_CONCURRENT_REQUESTS": "4"}
    with gateway(demo_store, **settings, PYTHONPATH=JUMPING_CLOCK) as running:
        running.wait_until_ready()
        yield running


def _created(running: GatewayProcess) -> int:
    answer = running.client.post("/v1/completions", json={"prompt": "When?", "max_tokens": 1})
    return int(answer.json()["created"])


def test_answers_come_and_take_their_true_time_whatever_the_clock_says(dizzy: GatewayProcess) -> None:
    created = [_created(dizzy) for _ in range(20)]
    assert max(created) - min(created) > HOUR_S, "the clock has to jump, or this shows nothing"
    before = accepted_and_ended(dizzy)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(dizzy.generate, "Go on.", max_tokens=20) for _ in range(40)]
    assert {asking.result().status_code for asking in asked} <= {200, 429}
    accepted, ended = accepted_and_ended(dizzy)
    assert accepted - before[0] == sum(ended.values()) - sum(before[1].values()) > 0
    lines = [line for line in dizzy.log if line["event"] == "request" and line.get("outcome") == "finished"]
    assert len(lines) >= len(created)
    for line in lines:
        assert 0 <= line["first_token_ms"] <= line["total_ms"] < HOUR_S * 1000


def test_when_to_come_back_is_never_a_matter_of_the_clock(dizzy: GatewayProcess) -> None:
    endless = {"prompt": "Go on.", "max_tokens": 400}
    with ThreadPoolExecutor(4) as pool:
        held = [pool.submit(dizzy.client.post, "/generate", json=endless) for _ in range(4)]
        until_running(dizzy, 4)
        refused = dizzy.generate("Is there room?")
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert [asking.result().status_code for asking in held] == [200] * 4
    assert 0 <= dizzy.client.get("/health").json()["uptime_s"] < HOUR_S


@pytest.mark.parametrize("ago_s", [10 * HOUR_S, -10 * HOUR_S], ids=["of long ago", "from the future"])
def test_a_note_of_a_fetcher_that_is_no_more_is_not_believed(tmp_path: Path, ago_s: float) -> None:
    left = ProgressNote(step="fetch", detail="x", done_bytes=1, total_bytes=2, updated_at=time.time() - ago_s)
    write_note(StoreLayout(tmp_path).fetch_progress, left)
    with gateway(tmp_path, ENGINE="fake") as running:
        assert "is not on" in running.wait_for("waiting_for_weights")["detail"]
