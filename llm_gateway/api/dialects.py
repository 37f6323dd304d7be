"""Which dialect a request speaks: by its path, and where two share one, by its body."""

from typing import Final

from llm_gateway.api.dialect import Dialect
from llm_gateway.api.native.errors import NATIVE
from llm_gateway.api.ollama.errors import OLLAMA
from llm_gateway.api.openai.errors import OPENAI
from llm_gateway.api.tgi.errors import TGI
from llm_gateway.telemetry.request_record import current_record

_DIALECTS: Final = {dialect.name: dialect for dialect in (NATIVE, OPENAI, TGI, OLLAMA)}
_BY_PATH: Final = {
    "/": TGI,
    "/generate_stream": TGI,
    "/chat_tokenize": TGI,
    "/info": TGI,
    "/tokenize": OPENAI,
    "/detokenize": OPENAI,
}
_BY_PREFIX: Final = {"/v1/": OPENAI, "/api/": OLLAMA}


def dialect_of(path: str) -> Dialect:
    """The dialect in which a request to this path is answered until its body says otherwise."""
    if path in _BY_PATH:
        return _BY_PATH[path]
    return next((dialect for prefix, dialect in _BY_PREFIX.items() if path.startswith(prefix)), NATIVE)


def current_dialect() -> Dialect:
    """The dialect of the request that the running task belongs to."""
    return _DIALECTS[current_record.get().dialect]


def tgi_or(other: str, body: object) -> str:
    """Tell a body of TGI, which has `inputs`, from one of another dialect, and remember it for errors to come."""
    spoken = TGI.name if isinstance(body, dict) and "inputs" in body else other
    current_record.get().dialect = spoken
    return spoken
