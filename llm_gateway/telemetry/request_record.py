"""What is known of one request, filled in as it passes through the house and logged once at its end."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum

from llm_gateway.generation import Timings, Usage


class Outcome(StrEnum):
    """The terminal event: every accepted request has exactly one."""

    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"
    REFUSED = "refused"
    """Nothing was generated for it: bad input, no room, or no model."""


@dataclass(slots=True)
class RequestRecord:
    """One request's line in the log, in the making."""

    request_id: str
    arrived: float
    """`time.monotonic()` when its headers had come."""
    dialect: str = "native"
    """Whose shapes its answer has, errors included."""
    key: str | None = None
    """The name of the API key that it came with; the key itself goes no further than the door."""
    usage: Usage = field(default_factory=Usage)
    timings: Timings = field(default_factory=Timings)
    outcome: Outcome | None = None
    error: str | None = None

    def decoded_tokens_per_s(self, num_sequences: int) -> float | None:
        """Decoding speed: the tokens after each sequence's first, over the time after the first; None where unknown."""
        first_s, total_s = self.timings.first_token_s, self.timings.total_s
        tokens = self.usage.completion_tokens - num_sequences
        if first_s is None or total_s is None or tokens < 1:
            return None
        return round(tokens / max(total_s - first_s, 1e-6), 1)


current_record: ContextVar[RequestRecord] = ContextVar("current_record")
"""The record of the request that the running task belongs to."""
