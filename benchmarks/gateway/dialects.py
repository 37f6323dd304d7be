"""What is asked for in each dialect, and the proof that a streamed answer is the whole of it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

PROMPT: Final = (
    "A gateway takes a place for every request that it lets in, and gives it back when the answer has ended. "
    "Templates and tokenizers compute, so they run in a thread of their own, and the health check is never behind "
    "them. The model is in a process beside it: what all answers gained in one step comes back as one message, and "
    "each part of it goes to the client that waits for it. Whoever leaves early makes room for the next one at once. "
)
"""The fake engine repeats it, so that answers are words, with a special token only at the seams."""


class AnswerError(Exception):
    """An answer is not the one that was asked for; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Whole:
    """The same answer as /generate gives it: all at once, with its own count."""

    tokens: int
    text_bytes: int


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way to ask for a stream."""

    name: str
    path: str
    body: Callable[[str, int], Mapping[str, object]]
    """The request's body for a model's name and a number of tokens."""
    count_tokens: Callable[[bytes, Whole], int]
    """Tokens of a streamed answer, by its own count where it has one.

    Raises:
        AnswerError: the answer has no proper end.
    """

    def request(self, model: str, num_tokens: int) -> bytes:
        """The bytes of one request on a connection that is kept."""
        return post(self.path, self.body(model, num_tokens))


def post(path: str, body: Mapping[str, object]) -> bytes:
    """The bytes of a POST."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n"
    return head.encode() + b"Content-Type: application/json\r\n\r\n" + content


def _chat_body(model: str, num_tokens: int) -> dict[str, object]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": PROMPT}],
        "max_tokens": num_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def plain_body(model: str, num_tokens: int) -> dict[str, object]:
    """What /stream and /generate take."""
    return {"model": model, "prompt": PROMPT, "max_tokens": num_tokens}


def _tgi_body(_model: str, num_tokens: int) -> dict[str, object]:
    return {"inputs": PROMPT, "parameters": {"max_new_tokens": num_tokens, "details": True}}


def _ollama_body(model: str, num_tokens: int) -> dict[str, object]:
    messages = [{"role": "user", "content": PROMPT}]
    return {"model": model, "messages": messages, "options": {"num_predict": num_tokens}}


def _openai_tokens(answer: bytes, _whole: Whole) -> int:
    *_, usage, done, nothing = answer.split(b"\n\n")
    if done != b"data: [DONE]" or nothing:
        raise AnswerError(f"a chat's stream ends with {answer[-60:]!r}, expected data: [DONE]")
    return int(_object(usage.removeprefix(b"data: "))["usage"]["completion_tokens"])


def _plain_tokens(answer: bytes, whole: Whole) -> int:
    if len(answer) != whole.text_bytes:
        raise AnswerError(
            f"/stream wrote {len(answer)} bytes of text, /generate {whole.text_bytes} for the same request"
        )
    return whole.tokens


def _tgi_tokens(answer: bytes, _whole: Whole) -> int:
    *events, nothing = answer.split(b"\n\n")
    last = _object(events[-1].removeprefix(b"data:"))
    if nothing or last["generated_text"] is None:
        raise AnswerError(f"TGI's stream ends with {answer[-60:]!r}, expected an event with the generated text")
    if len(events) != last["details"]["generated_tokens"]:
        raise AnswerError(f"{len(events)} events came for {last['details']['generated_tokens']} tokens")
    return len(events)


def _ollama_tokens(answer: bytes, _whole: Whole) -> int:
    last = _object(answer.splitlines()[-1])
    if not last["done"]:
        raise AnswerError(f"Ollama's stream ends with {answer[-60:]!r}, expected a line that says it is done")
    return int(last["eval_count"])


def _object(text: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise AnswerError(f"a stream's last frame is {text[:60]!r}, expected a JSON object") from error
    return found


DIALECTS: Final = {
    dialect.name: dialect
    for dialect in (
        Dialect("openai", "/v1/chat/completions", _chat_body, _openai_tokens),
        Dialect("native", "/stream", plain_body, _plain_tokens),
        Dialect("tgi", "/generate_stream", _tgi_body, _tgi_tokens),
        Dialect("ollama", "/api/chat", _ollama_body, _ollama_tokens),
    )
}
