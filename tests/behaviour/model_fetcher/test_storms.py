"""Hubs on a bad day: every fault there is, in an order that nobody chose; the bytes are right or there are none."""

import random

import pytest

from tests.behaviour.model_fetcher.conftest import LARGE_BYTES, Fetcher, ready_made
from tests.hub import Cut, Hub, Stall, Status, WrongByte
from tests.hub.faults import Fault
from tests.support.volumes import published, strays

BIG = "openvino_model.bin"
NUM_FAULTS = 6


def _any_fault(draw: random.Random) -> Fault:
    after_bytes = draw.randrange(LARGE_BYTES // (NUM_FAULTS + 1))
    faults: list[Fault] = [
        Cut(after_bytes),
        Stall(after_bytes),
        Status(500),
        Status(503),
        Status(429, (("Retry-After", "0"),)),
    ]
    return draw.choice(faults)


@pytest.mark.parametrize("seed", [7, 8, 10])
def test_a_hub_that_does_everything_wrong_for_a_while_costs_time_and_nothing_else(
    fetcher: Fetcher, hub: Hub, seed: int
) -> None:
    repository, draw = hub.add(ready_made()), random.Random(seed)
    hub.fail("api:team/ready", Status(500))
    hub.fail(BIG, *(_any_fault(draw) for _ in range(NUM_FAULTS)), WrongByte(at=0))
    outcome = fetcher.run(STALL_TIMEOUT_S="0.5")
    assert outcome.exit_code == 0, outcome.output
    assert (fetcher.content("openvino") / BIG).read_bytes() == repository.files[BIG]
    assert not hub.faults[BIG], "the day was not as bad as it should have been"
    assert len(published(fetcher.store)) == 4
    assert strays(fetcher.store) == set()


@pytest.mark.parametrize("fault", [Cut(200), Stall(200)], ids=["cut", "stalled"])
def test_a_list_of_files_that_comes_in_half_is_asked_for_again(fetcher: Fetcher, hub: Hub, fault: Fault) -> None:
    hub.add(ready_made())
    hub.fail("api:team/ready", fault)
    outcome = fetcher.run()
    assert outcome.exit_code == 0, outcome.output
    assert len([request for request in hub.requests if request.path.startswith("/api/models/team/ready")]) == 2


def test_a_hub_that_lies_about_a_hash_publishes_nothing_and_the_next_honest_one_finds_the_rest_there(
    fetcher: Fetcher, hub: Hub
) -> None:
    repository = hub.add(ready_made())
    hub.fail("tokenizer.json", WrongByte(3), WrongByte(4))
    lied = fetcher.run()
    assert lied.exit_code == 18
    assert "tokenizer.json" in lied.error
    assert published(fetcher.store) == {}
    outcome = fetcher.run()
    assert outcome.exit_code == 0, outcome.output
    assert (fetcher.content("openvino") / "tokenizer.json").read_bytes() == repository.files["tokenizer.json"]
    assert len(hub.requests_for(BIG)) == 1, "what was right is not fetched again"
    assert strays(fetcher.store) == set()
