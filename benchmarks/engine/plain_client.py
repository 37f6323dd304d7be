"""The least client there can be: it sends completions, counts frames, and costs the processor next to nothing.

A load generator that people know computes on the same cores as the server; beside it, this shows what remains of a
difference once the generator's own cost is out of the way.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.prompts import Prompt

_READ_BYTES = 1 << 16
_END = b"data: [DONE]"


class AnswerBrokenError(Exception):
    """A stream ended without its last frame, or was none; the message has how it began."""


@dataclass(frozen=True, slots=True)
class PlainAnswers:
    """What came back; the lengths are the server's promise (`ignore_eos`), which the load generator checks."""

    tokens_per_s: float
    first_token_ms: float
    """Median over the prompts."""
    cpu_s: float
    """Of this process."""


def ask(port: int, model: str, prompts: Sequence[Prompt], output_tokens: int, streams: int) -> PlainAnswers:
    """Stream all completions, at most `streams` at a time.

    Raises:
        AnswerBrokenError: an answer was not whole.
    """
    started, cpu_s = time.perf_counter(), time.process_time()
    firsts = asyncio.run(_ask_all(port, [_request(model, prompt, output_tokens) for prompt in prompts], streams))
    seconds = time.perf_counter() - started
    return PlainAnswers(
        len(prompts) * output_tokens / seconds, 1000 * statistics.median(firsts), time.process_time() - cpu_s
    )


async def _ask_all(port: int, requests: Sequence[bytes], streams: int) -> list[float]:
    free = asyncio.Semaphore(streams)

    async def in_turn(request: bytes) -> float:
        async with free:
            return await _ask_one(port, request)

    return await asyncio.gather(*map(in_turn, requests))


async def _ask_one(port: int, request: bytes) -> float:
    """Return the seconds to the first frame, once the last has come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        started = time.perf_counter()
        writer.write(request)
        first_s, received, tail = None, b"", b""
        while _END not in tail:
            data = await reader.read(_READ_BYTES)
            if not data:
                raise AnswerBrokenError(f"a stream ended before {_END.decode()}; it began with {received[:200]!r}")
            received, tail = received or data, (tail + data)[-_READ_BYTES - len(_END) :]
            if first_s is None and b"data:" in tail:
                first_s = time.perf_counter() - started
        assert first_s is not None, "the last frame is a frame"
        return first_s
    finally:
        writer.close()


def _request(model: str, prompt: Prompt, output_tokens: int) -> bytes:
    keys = {"max_tokens": output_tokens, "temperature": 0, "ignore_eos": True, "stream": True}
    body = json.dumps({"model": model, "prompt": prompt.text, **keys}).encode()
    head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
