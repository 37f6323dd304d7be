"""Every accepted request ends once: counted as it comes in, counted as it ends, and heard if it should end twice."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from llm_gateway.errors import InvalidRequestError, NotReadyError, OverloadedError, UnknownModelError
from llm_gateway.telemetry.request_record import Outcome, RequestRecord

_log = structlog.get_logger()

_TURNED_AWAY = (InvalidRequestError, NotReadyError, OverloadedError, UnknownModelError)


class Endings:
    """Gives each accepted request its one outcome; `accepted` and `ended` are told, and count."""

    def __init__(self, accepted: Callable[[], None], ended: Callable[[Outcome], None]) -> None:
        self._accepted = accepted
        self._ended = ended

    @contextmanager
    def one_for(self, record: RequestRecord) -> Iterator[None]:
        """Hold the block in which an accepted request is answered; however it is left, that is the outcome."""
        self._accepted()
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            self.end(record, Outcome.CANCELLED)
            raise
        except Exception as error:
            self.end(record, Outcome.REFUSED if isinstance(error, _TURNED_AWAY) else Outcome.FAILED)
            raise
        self.end(record, Outcome.FINISHED)

    def end(self, record: RequestRecord, outcome: Outcome) -> None:
        """Count the terminal event; a second one for the same record is a bug, and is logged instead of counted."""
        if record.outcome is not None:
            _log.error("request ended twice", id=record.request_id, first=record.outcome, then=outcome)
            return
        record.outcome = outcome
        self._ended(outcome)
