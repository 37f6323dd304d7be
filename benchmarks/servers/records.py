"""The entries of a comparison: the machine, its contenders, one figure, one reason why there is none."""

import math
from typing import Literal, TypeAlias

import msgspec

PrecisionClass: TypeAlias = Literal["16 bits", "8 bits"]
CLASSES: tuple[PrecisionClass, ...] = ("16 bits", "8 bits")


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything was measured."""

    cpu: str
    cores: int
    memory_bytes: int
    kernel: str


class Contender(msgspec.Struct, frozen=True, kw_only=True):
    """One server at one precision."""

    key: str
    name: str
    precision: str
    precision_class: PrecisionClass = msgspec.field(name="class")
    version: str
    command: str
    notes: str
    weight_bytes: int
    """Bytes of weights that one decoded token of one stream makes the server read."""

    @property
    def title(self) -> str:
        return f"{self.name}, {self.precision}"

    @property
    def is_preheat(self) -> bool:
        return self.key.startswith("preheat")

    @property
    def is_llama_server(self) -> bool:
        return self.key.startswith("llama-server")


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of one contender in one round.

    Raises:
        ValueError: the round is not counted from 1, or the value is no positive number.
    """

    round: int
    contender: str
    cell: str
    value: float
    """In the unit of the cell."""
    samples: int
    """Requests, tokens or readings that the value was made of."""
    generator_cpu_s: float | None = None
    wall_s: float | None = None
    """How long the load generator ran, so that its CPU seconds can be said as a share of the machine's."""

    def __post_init__(self) -> None:
        place = f"{self.contender}, {self.cell}, round {self.round}"
        if self.round < 1:
            raise ValueError(f"{place}: rounds are counted from 1, so number the first one 1.")
        if not (math.isfinite(self.value) and self.value > 0):
            raise ValueError(
                f"{place}: the value is {self.value}, not a positive number; note it as a failure instead."
            )


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no figure: something broke, or the cell was left out on purpose."""

    contender: str
    reason: str
    round: int | None = None
    """None: in every round."""
    cell: str | None = None
    """None: every cell of the contender."""
    kind: Literal["failed", "left out"] = "failed"
