"""However an accepted request is left, it has one outcome, and the counts agree."""

import asyncio
from collections import Counter

import pytest
import structlog

from llm_gateway.errors import GenerationFailedError, InvalidRequestError, OverloadedError, WorkerDiedError
from llm_gateway.telemetry.endings import Endings
from llm_gateway.telemetry.request_record import Outcome, RequestRecord


class Counts:
    """What the metrics would be told."""

    def __init__(self) -> None:
        self.accepted = 0
        self.ended: Counter[Outcome] = Counter()
        self.endings = Endings(self._accept, self._end)

    def _accept(self) -> None:
        self.accepted += 1

    def _end(self, outcome: Outcome) -> None:
        self.ended[outcome] += 1


def _record() -> RequestRecord:
    return RequestRecord("one", arrived=0.0)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (InvalidRequestError("no"), Outcome.REFUSED),
        (OverloadedError("full", retry_after_s=1), Outcome.REFUSED),
        (WorkerDiedError("gone"), Outcome.FAILED),
        (GenerationFailedError("lost"), Outcome.FAILED),
        (ZeroDivisionError(), Outcome.FAILED),
        (asyncio.CancelledError(), Outcome.CANCELLED),
        (GeneratorExit(), Outcome.CANCELLED),
    ],
)
def test_what_ended_it_says_which_outcome_it_has(error: BaseException, outcome: Outcome) -> None:
    counts, record = Counts(), _record()
    with pytest.raises(type(error)), counts.endings.one_for(record):
        raise error
    assert record.outcome is outcome
    assert (counts.accepted, counts.ended) == (1, {outcome: 1})


def test_an_answer_that_is_whole_is_finished() -> None:
    counts, record = Counts(), _record()
    with counts.endings.one_for(record):
        assert counts.accepted == 1
        assert not counts.ended
    assert record.outcome is Outcome.FINISHED
    assert counts.ended == {Outcome.FINISHED: 1}


def test_a_second_ending_is_heard_and_not_counted() -> None:
    counts, record = Counts(), _record()
    with counts.endings.one_for(record):
        pass
    with structlog.testing.capture_logs() as log:
        counts.endings.end(record, Outcome.FAILED)
    assert [line["event"] for line in log] == ["request ended twice"]
    assert record.outcome is Outcome.FINISHED
    assert counts.ended == {Outcome.FINISHED: 1}
