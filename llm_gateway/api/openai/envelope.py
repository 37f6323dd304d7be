"""What every answer and every chunk of one begins with, and its usage."""

import asyncio
import time

import msgspec

from llm_gateway.api.parts import ApiParts
from llm_gateway.generation import GenerationRequest
from llm_gateway.models.figures import Figures
from llm_gateway.telemetry.request_record import RequestRecord


class CachedTokens(msgspec.Struct):
    """What the prefix cache had of the prompt."""

    cached_tokens: int


class UsageBody(msgspec.Struct):
    """Tokens in and out, over all answers."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens


class Envelope(msgspec.Struct, frozen=True):
    """The same in all chunks of one answer."""

    id: str
    object: str
    created: int
    """Unix time, in seconds."""
    model: str
    system_fingerprint: str | None


def usage_body(record: RequestRecord) -> UsageBody:
    usage = record.usage
    return UsageBody(
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.prompt_tokens + usage.completion_tokens,
        CachedTokens(usage.cached_tokens),
    )


def stop_reason(request: GenerationRequest, stopped_by: str | int | None) -> str | int | None:
    """Say which of the client's own stops was reached; the model's end of turn is none of them."""
    return stopped_by if isinstance(stopped_by, str) or stopped_by in request.stop_token_ids else None


class Envelopes:
    """Makes them."""

    def __init__(self, parts: ApiParts, model: str) -> None:
        self._parts = parts
        self._model = model
        self._fingerprint: str | None = None
        self._fingerprint_of: Figures | None = None

    async def make(self, kind: str, prefix: str, record: RequestRecord) -> Envelope:
        """Begin an answer; its id has the request's own in it, so that it can be found in the log."""
        fingerprint = await self._current_fingerprint()
        return Envelope(f"{prefix}-{record.request_id}", kind, int(time.time()), self._model, fingerprint)

    async def _current_fingerprint(self) -> str | None:
        """Ten digits over the files of the model, read once each time it was loaded."""
        figures = self._parts.lifecycle.figures
        if figures is not self._fingerprint_of:
            served = await asyncio.to_thread(self._parts.shelf.served)
            self._fingerprint = None if served is None else f"fp_{served.digest[:10]}"
            self._fingerprint_of = figures
        return self._fingerprint
