"""What the fetcher and the conversion's process say to each other: one request down, one line per event up."""

from enum import StrEnum

import msgspec

from model_store.manifest import Agreement


class FailureKind(StrEnum):
    """Why a conversion ended without a result."""

    ARCHITECTURE = "architecture"
    ONLY_TRANSFORMERS = "only-transformers"
    """The architecture too, but transformers knows it and can batch it."""
    DISAGREEMENT = "disagreement"
    DISK = "disk"
    MEMORY = "memory"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to convert. With `check_only`, only whether the configuration's architecture is known is answered."""

    source: str
    output: str
    precision: str
    threads: int
    trust_remote_code: bool
    allow_pickle: bool
    check_only: bool


class Step(msgspec.Struct, frozen=True, kw_only=True, tag="step"):
    """Something takes time: what it is."""

    doing: str


class Result(msgspec.Struct, frozen=True, kw_only=True, tag="result"):
    """The output folder is complete and agrees with its source. Both are None after a mere check."""

    agreement: Agreement | None
    num_parameters: int | None


class Failure(msgspec.Struct, frozen=True, kw_only=True, tag="failure"):
    """The output folder must not be used; one sentence without its advice."""

    kind: FailureKind
    message: str


def decode_event(line: bytes) -> Step | Result | Failure:
    """Read one line of the child's standard output."""
    return msgspec.json.decode(line, type=Step | Result | Failure)
