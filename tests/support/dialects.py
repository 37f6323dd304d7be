"""Every way to ask for an answer: each dialect, all at once and as a stream, with how each tells that it failed."""

import http.client
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.gateway_process import GatewayProcess

PROMPT = "Go on, and on."
Body = dict[str, object] | list[object]
_MESSAGES = [{"role": "user", "content": PROMPT}]


@dataclass(frozen=True)
class Way:
    """One route, and whether its answer is a stream."""

    name: str
    """Without spaces, so that it can be part of a request's id."""
    path: str
    streams: bool
    body: Callable[[int], Body]
    """The body that asks for so many tokens."""
    busy: int = 429
    """The status with which the dialect says that there is no room."""
    frame: str = ""
    """A regular expression for the end of a stream that failed; none for plain text, which is cut."""

    def begin(
        self, running: GatewayProcess, max_tokens: int, request_id: str, prompt: str = PROMPT
    ) -> http.client.HTTPConnection:
        """Send the request on a connection of its own, and read nothing."""
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=120)
        headers = {"content-type": "application/json", "x-request-id": request_id}
        connection.request("POST", self.path, json.dumps(self.body(max_tokens)).replace(PROMPT, prompt), headers)
        return connection

    def ask(self, running: GatewayProcess, max_tokens: int, request_id: str, prompt: str = PROMPT) -> "Ending":
        """Send the request and read all that comes."""
        connection = self.begin(running, max_tokens, request_id, prompt)
        try:
            response = connection.getresponse()
            try:
                return Ending(response.status, response.read().decode(), whole=True)
            except http.client.IncompleteRead as cut:
                return Ending(response.status, cut.partial.decode(), whole=False)
        finally:
            connection.close()

    def failed(self, ending: "Ending", status: int, sentence: str) -> bool:
        """Whether the answer ended as this way says that it failed: by its status, or in the middle of a stream."""
        if ending.status != 200:
            return ending.status == status and bool(re.search(sentence, ending.text))
        if self.path == "/v1/completions/batch":
            return bool(re.search(sentence, ending.text))  # each item has its own error
        if not self.streams:
            return False
        if not self.frame:
            return not ending.whole
        return ending.whole and bool(re.search(self.frame, ending.text)) and bool(re.search(sentence, ending.text))


@dataclass(frozen=True)
class Ending:
    """What a client has in the end."""

    status: int
    text: str
    whole: bool


def _native(max_tokens: int) -> Body:
    return {"prompt": PROMPT, "max_tokens": max_tokens}


def _chat(streams: bool) -> Callable[[int], Body]:
    return lambda max_tokens: {"messages": _MESSAGES, "max_tokens": max_tokens, "stream": streams}


def _completion(streams: bool) -> Callable[[int], Body]:
    return lambda max_tokens: {"prompt": PROMPT, "max_tokens": max_tokens, "stream": streams}


def _tgi(max_tokens: int) -> Body:
    return {"inputs": PROMPT, "parameters": {"max_new_tokens": max_tokens}}


def _ollama(streams: bool) -> Callable[[int], Body]:
    return lambda max_tokens: {
        "model": "demo",
        "prompt": PROMPT,
        "messages": _MESSAGES,
        "stream": streams,
        "options": {"num_predict": max_tokens},
    }


_EVENT = r'data: ?\{"error":'
_LINE = r'(?m)^\{"error":.*\}$'
BATCH = Way("batch", "/v1/completions/batch", False, lambda max_tokens: [_native(max_tokens)] * 2)
EVERY_WAY = (
    Way("native", "/generate", False, _native),
    Way("native-stream", "/stream", True, _native),
    Way("infer", "/infer", False, _native),
    Way("chat", "/v1/chat/completions", False, _chat(False)),
    Way("chat-stream", "/v1/chat/completions", True, _chat(True), frame=_EVENT),
    Way("completion", "/v1/completions", False, _completion(False)),
    Way("completion-stream", "/v1/completions", True, _completion(True), frame=_EVENT),
    BATCH,
    Way("TGI", "/generate", False, _tgi),
    Way("TGI-stream", "/generate_stream", True, _tgi, frame=_EVENT),
    Way("TGI-at-root", "/", False, _tgi),
    Way("Ollama", "/api/generate", False, _ollama(False), busy=503),
    Way("Ollama-stream", "/api/generate", True, _ollama(True), busy=503, frame=_LINE),
    Way("Ollama-chat", "/api/chat", False, _ollama(False), busy=503),
    Way("Ollama-chat-stream", "/api/chat", True, _ollama(True), busy=503, frame=_LINE),
)
ALONE = tuple(way for way in EVERY_WAY if way is not BATCH)
"""Those in which an HTTP request is one generation."""
