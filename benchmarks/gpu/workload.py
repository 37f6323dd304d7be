"""What every contender is loaded with and asked for: the numbers that prompts and answers of one length fit into."""

from dataclasses import dataclass
from pathlib import Path

PRECISIONS = {"bfloat16": "none", "int8": "int8", "nf4": "int4"}
"""What the table calls a precision, and what `QUANTIZATION` calls it."""
PAGE_TOKENS = 256
"""Pages of the KV cache on a GPU; each sequence fills its last one only in part."""


class ContenderFailedError(Exception):
    """A contender could not be loaded, or did not answer as asked; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What it took to answer all prompts of one batch."""

    seconds: float
    output_tokens: int
    first_token_s: float | None
    """From the asking to the first token of any of them, where it was looked at."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a contender is loaded with."""

    folder: Path
    device: str
    precision: str
    max_streams: int
    prompt_tokens: int
    output_tokens: int
    num_threads: int

    @property
    def quantization(self) -> str:
        return PRECISIONS[self.precision]

    @property
    def kv_cache_tokens(self) -> int:
        """Room for all streams at once, in whole pages."""
        pages = -(-(self.prompt_tokens + self.output_tokens) // PAGE_TOKENS)
        return self.max_streams * pages * PAGE_TOKENS
