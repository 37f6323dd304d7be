"""Streams read back by readers written from the specifications, whatever the model says."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.api.dialect import Dialect
from llm_gateway.api.ollama.chunks import StreamLines
from llm_gateway.api.ollama.errors import OLLAMA
from llm_gateway.api.ollama.schema import ChatBody, GenerateBody
from llm_gateway.api.openai.chat_chunks import ChatChunks
from llm_gateway.api.openai.completions import CompletionChunks
from llm_gateway.api.openai.envelope import Envelope
from llm_gateway.api.openai.errors import OPENAI
from llm_gateway.api.tgi.errors import TGI
from llm_gateway.api.tgi.events import _EventWriter
from llm_gateway.api.tgi.schema import InputsBody
from llm_gateway.errors import GenerationFailedError
from llm_gateway.generation import AnswerPiece, FinishReason, GenerationRequest, PromptSource, TokenDetail
from llm_gateway.stream.lines import with_escaped_line_ends
from llm_gateway.telemetry.request_record import RequestRecord

Texts = Sequence[str]

ENVELOPE = Envelope("id", "object", 1, "demo", None)
REQUEST = GenerationRequest(request_id="id", prompt=PromptSource(text="x"))

pieces = st.text(st.sampled_from('ab:{}"\\ \n\r\0\x0b\x1c\x1e\x85\u2028\u2029\ufeff\ufffddata日🎉'), max_size=12)
all_pieces = st.lists(pieces | st.text(max_size=8), max_size=8)


def events(raw: bytes) -> list[str]:
    """Read an event stream as the WHATWG's HTML standard says in 9.2.6; an event without its blank line is none."""
    found: list[str] = []
    data: list[str] = []
    *lines, rest = re.split("\r\n|\n|\r", raw.decode("utf-8").removeprefix("\ufeff"))
    assert rest == "", "the stream ends in the middle of a line"
    for line in lines:
        if not line:
            found += ["\n".join(data)] if data else []
            data = []
            continue
        name, _, value = line.partition(":")
        if name == "data":
            data.append(value.removeprefix(" "))
    assert not data, "the stream ends in the middle of an event"
    return found


def lines(raw: bytes) -> list[Any]:
    """Read JSON lines: one value each, every line with its LF."""
    *whole, rest = raw.decode("utf-8").split("\n")
    assert rest == ""
    return [json.loads(line) for line in whole]


def sent(frames: Sequence[bytes]) -> bytes:
    return b"".join(map(with_escaped_line_ends, frames))


def record() -> RequestRecord:
    return RequestRecord("id", 0.0)


def as_pieces(texts: Texts, *, tokens: bool = False) -> list[AnswerPiece]:
    def details(text: str) -> tuple[TokenDetail, ...]:
        return (TokenDetail(7, text, -0.5),) if tokens else ()

    middle = [AnswerPiece(0, text, tokens=details(text)) for text in texts]
    return [*middle, AnswerPiece(0, "", FinishReason.STOP, tokens=details(""))]


def chat_text(texts: Texts) -> str:
    chunks = ChatChunks(ENVELOPE, REQUEST, include_usage=True, top_logprobs=False)
    *answers, usage, done = events(sent([*map(chunks.of_piece, as_pieces(texts)), chunks.end(record())]))
    assert done == "[DONE]"
    assert json.loads(usage)["choices"] == []
    deltas = [json.loads(answer)["choices"][0]["delta"] for answer in answers]
    return "".join(delta.get("content", "") for delta in deltas)


def completion_text(texts: Texts) -> str:
    chunks = CompletionChunks(ENVELOPE, REQUEST, [], include_usage=False)
    *answers, done = events(sent([*map(chunks.of_piece, as_pieces(texts)), chunks.end(record())]))
    assert done == "[DONE]"
    return "".join(json.loads(answer)["choices"][0]["text"] for answer in answers)


def tgi_text(texts: Texts) -> str:
    writer = _EventWriter(InputsBody.model_validate({"inputs": "x"}), REQUEST, record())
    found = [json.loads(event) for event in events(sent([*map(writer.write, as_pieces(texts, tokens=True))]))]
    text = "".join(event["token"]["text"] for event in found)
    assert found[-1]["generated_text"] == text
    return text


def ollama_generate_text(texts: Texts) -> str:
    writer = StreamLines(GenerateBody.model_validate({"prompt": "x"}))
    return "".join(line["response"] for line in lines(sent([*map(writer.of, as_pieces(texts))])))


def ollama_chat_text(texts: Texts) -> str:
    writer = StreamLines(ChatBody.model_validate({}))
    return "".join(line["message"]["content"] for line in lines(sent([*map(writer.of, as_pieces(texts))])))


WRITERS: dict[str, Callable[[Texts], str]] = {
    "chat": chat_text,
    "completions": completion_text,
    "TGI": tgi_text,
    "Ollama generate": ollama_generate_text,
    "Ollama chat": ollama_chat_text,
}


@pytest.mark.parametrize("name", WRITERS)
@given(texts=all_pieces)
def test_a_reader_written_from_the_specification_gets_the_text_that_was_sent(name: str, texts: list[str]) -> None:
    assert WRITERS[name](texts) == "".join(texts)


@given(texts=all_pieces)
def test_a_reader_that_knows_more_ends_of_a_line_gets_the_same_lines(texts: list[str]) -> None:
    """Clients read with httpx, and it splits where `str.splitlines` does."""
    writer = StreamLines(GenerateBody.model_validate({"prompt": "x"}))
    raw = sent([*map(writer.of, as_pieces(texts))])
    assert [json.loads(line) for line in raw.decode().splitlines()] == lines(raw)
    chunks = CompletionChunks(ENVELOPE, REQUEST, [], include_usage=False)
    raw = sent([*map(chunks.of_piece, as_pieces(texts)), chunks.end(record())])
    data = [line.removeprefix("data: ") for line in raw.decode().splitlines() if line]
    assert data == events(raw)


@pytest.mark.parametrize("dialect", [OPENAI, TGI, OLLAMA], ids=lambda dialect: str(dialect.name))
@given(quoted=pieces | st.text(st.characters(categories=["Cs", "Cc", "Lu"]), max_size=8))
def test_an_error_in_the_middle_of_a_stream_is_one_frame_whatever_it_quotes(dialect: Dialect, quoted: str) -> None:
    assert dialect.error_frames is not None
    raw = sent([dialect.error_frames(GenerationFailedError(f"it has {quoted}"))])
    found = lines(raw) if dialect is OLLAMA else [json.loads(event) for event in events(raw) if event != "[DONE]"]
    assert len(found) == 1
    assert "it has " in json.dumps(found[0])
