"""What a warm-up measured: made there, shown by health and the log."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figures:
    """What this model really does with this profile on this machine, alone and with one stream."""

    first_token_ms: float
    tokens_per_s: float | None
    """Decoding speed: tokens after the first, over the time after the first."""
    memory_bytes: int
    """What the worker's process holds in RAM after the warm-up."""
    num_threads: int
    context_tokens: int
    """Longest prompt and answer together that this memory allows."""
    num_prompts: int
