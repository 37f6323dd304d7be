"""A fetcher whose clock jumps by days and years at every look."""

import email.utils
import re
import time

from tests.behaviour.model_fetcher.conftest import ROOT, Fetcher, ready_made
from tests.hub import Hub, Stall, Status
from tests.support.volumes import published, strays

BIG = "openvino_model.bin"
JUMPING_CLOCK = f"{ROOT / 'tests' / 'support' / 'jumping_clock'}:{ROOT}"
PATIENCE_S = 60


def test_a_pause_until_a_date_is_kept_by_the_hubs_clock(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(ready_made())
    until = email.utils.formatdate(time.time() + 5, usegmt=True)
    hub.fail(BIG, Status(429, (("Retry-After", until),)), Stall(after_bytes=1_000_000))
    outcome = fetcher.run(PYTHONPATH=JUMPING_CLOCK)
    assert outcome.exit_code == 0, outcome.output
    assert re.search(r"going on in [1-5] s \(status 429\)", outcome.output), outcome.output
    assert len(published(fetcher.store)) == 4
    assert strays(fetcher.store) == set()


def test_a_clock_that_was_set_back_makes_no_model_old_or_damaged(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(ready_made())
    assert fetcher.run(PYTHONPATH=JUMPING_CLOCK).exit_code == 0
    hub.requests.clear()
    for _ in range(3):
        outcome = fetcher.run(PYTHONPATH=JUMPING_CLOCK)
        assert outcome.output.startswith("ready: team/ready"), outcome.output
    assert hub.requests == []


def test_a_fetcher_that_waits_for_another_is_not_confused_by_the_clock(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(ready_made())
    stall = Stall(after_bytes=1000)
    hub.fail(BIG, stall)
    with fetcher.start(STALL_TIMEOUT_S="3", PYTHONPATH=JUMPING_CLOCK) as first:
        assert stall.reached.wait(PATIENCE_S)
        with fetcher.start(PYTHONPATH=JUMPING_CLOCK) as second:
            output, _ = second.communicate(timeout=PATIENCE_S)
        first.communicate(timeout=PATIENCE_S)
    assert (first.returncode, second.returncode) == (0, 0)
    assert output.count("lock: waiting for another fetcher") == 1
