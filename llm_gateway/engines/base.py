"""The contract of an engine: what a worker needs of an inference library, and nothing more.

An engine is used by one thread. It batches by itself: sequences are handed over as they come, and every `step` moves
all that are under way. Sampling that an engine cannot do is refused in `begin` with a sentence, never silently ignored.
"""

from typing import Protocol

from llm_gateway.generation import FinishReason, SequenceRequest, TokenChunk


class RequestRefusedError(Exception):
    """This engine cannot do what one request asks; the message is one sentence for the client."""


class StepFailedError(Exception):
    """A step could not be computed, and the sequences that are named have ended; the engine itself goes on."""

    def __init__(self, refused: dict[int, str], lost: dict[int, str], *, needs_clearing: bool = False) -> None:
        super().__init__("; ".join([*refused.values(), *lost.values()]))
        self.refused = refused
        """The sequences that it failed for, each with one sentence for its client."""
        self.lost = lost
        """Those that only were in the same step."""
        self.needs_clearing = needs_clearing
        """Whether `clear_cache` comes before anything else that the engine does."""


def stopped_chunk(sequence_id: int, token_ids: list[int], logprobs: list[float] | None) -> TokenChunk:
    """Make the last chunk of a sequence that a stop token ended.

    Libraries report that token as the last one generated, and it is no part of the answer.
    """
    if logprobs is None:
        return TokenChunk(sequence_id, token_ids[:-1], FinishReason.STOP, None, token_ids[-1])
    return TokenChunk(sequence_id, token_ids[:-1], FinishReason.STOP, logprobs[:-1], token_ids[-1], logprobs[-1])


class Engine(Protocol):
    """One loaded model.

    A sequence is under way from `begin` until the chunk that carries its `finish`, or until `cancel`.
    """

    name: str
    device: str

    @property
    def num_steps(self) -> int:
        """How many computations have ended; where it stands still and work waits, the engine is stuck."""

    def begin(self, request: SequenceRequest) -> int:
        """Put a sequence under way; returns how many tokens of its prompt the prefix cache has.

        Raises:
            RequestRefusedError: it cannot be done as asked.
        """

    def cancel(self, sequence_id: int) -> None:
        """End a sequence within one step; it produces nothing more. An unknown or ended one is no error."""

    def has_work(self) -> bool:
        """Whether any sequence is under way, so that `step` would produce something."""

    def step(self) -> list[TokenChunk]:
        """Compute once for every sequence under way and return what they gained.

        Raises:
            StepFailedError: it cannot be computed for those that are named, which have ended; the others go on.
        """

    def clear_cache(self) -> None:
        """Forget every cached prefix and give memory back. Called only when no sequence is under way."""
