"""Ollama's `options`: how to sample and how long; with Ollama's defaults, which are those of its version 0.12."""

import math
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from llm_gateway.api.items import Items
from llm_gateway.api.ollama.nulls import BodyWithoutNulls
from llm_gateway.errors import UnsupportedError
from llm_gateway.generation import UNTIL_CONTEXT_IS_FULL, Sampling

_ANY_SEED: Final = -1
_MOST: Final = (1 << 31) - 1


def _whole(value: object) -> object:
    """Cut a number's fraction off, as Go does with the numbers of JSON."""
    return int(value) if isinstance(value, float) and math.isfinite(value) else value


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Whole = Annotated[int, BeforeValidator(_whole)]


class Options(BodyWithoutNulls):
    """The known options; unknown ones are ignored, as Ollama does.

    What says where and with how much memory Ollama should compute has no effect here (num_batch, num_gpu, num_thread,
    use_mmap, ...), and so has num_ctx: the context is as long as the gateway's plan says, which /api/show tells.
    """

    num_predict: Whole = Field(-1, description="Longest answer, in tokens; 0 or less is until the context is full.")
    temperature: float = Field(0.8, le=100, description="0 is greedy.")
    top_k: Whole = Field(40, description="How many of the likeliest tokens stay in; 0 keeps all.")
    top_p: float = Field(0.9, description="Share of probability that stays in; 1 keeps all.")
    min_p: float = Field(0.0, description="Tokens less likely than this share of the likeliest one are left out.")
    typical_p: float = Field(1.0, description="1 alone is possible, which changes nothing.")
    repeat_penalty: float = Field(1.0, gt=0, le=10, description="Over 1 discourages what is in prompt or answer.")
    repeat_last_n: Whole = Field(64, description="0 turns repeat_penalty off; otherwise it looks at all tokens.")
    presence_penalty: float = Field(0.0, ge=-2, le=2)
    frequency_penalty: float = Field(0.0, ge=-2, le=2)
    seed: Whole = Field(_ANY_SEED, description="Makes sampling repeatable; -1 picks any.")
    stop: Annotated[Items[str], BeforeValidator(_as_list)] = Field(
        default_factory=list, max_length=64, description="Texts that end the answer and are not part of it."
    )
    num_ctx: Whole = Field(0, description="Accepted; the context is the gateway's.")

    def max_tokens(self) -> int:
        """Return the longest answer, in tokens."""
        return min(self.num_predict, UNTIL_CONTEXT_IS_FULL) if self.num_predict > 0 else UNTIL_CONTEXT_IS_FULL

    def sampling(self) -> Sampling:
        """Return how to sample; what lies beyond an option's range means the same as its end.

        Raises:
            UnsupportedError: typical_p is to be used.
        """
        if self.typical_p < 1:
            raise UnsupportedError(
                f"options.typical_p is {self.typical_p:g}, which this engine cannot do; leave it out, "
                "and use top_p or min_p",
                field="options.typical_p",
            )
        only_likeliest = self.top_p <= 0 or self.min_p >= 1
        return Sampling(
            temperature=max(0.0, self.temperature),
            top_k=1 if only_likeliest else min(max(0, self.top_k), _MOST),
            top_p=self.top_p if 0 < self.top_p < 1 else 1.0,
            min_p=self.min_p if 0 < self.min_p < 1 else 0.0,
            repetition_penalty=self.repeat_penalty if self.repeat_last_n else 1.0,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            seed=None if self.seed == _ANY_SEED else self.seed,
        )
