"""Streams: the order of their chunks byte for byte, and what the official client makes of them."""

import json
import re
from collections.abc import Iterator
from typing import Any

from openai import AsyncOpenAI, OpenAI

from tests.support.gateway_process import GatewayProcess

QUESTION = "How do I change the port?"
ASKED: Any = [{"role": "user", "content": QUESTION}]

_HEAD = '{"id":"ID","object":"chat.completion.chunk","created":0,"model":"demo","system_fingerprint":"FP","choices":'
_TEXT_HEAD = '{"id":"ID","object":"text_completion","created":0,"model":"demo","system_fingerprint":"FP","choices":'
_OPEN = '"logprobs":null,"finish_reason":null}]'


def _said(demo: GatewayProcess) -> str:
    """The first four tokens of the answer, as the native API gives them."""
    return json.dumps(demo.generate(QUESTION, max_tokens=4).json()["output"], ensure_ascii=False)


def _golden(*events: str) -> str:
    return "".join(f"data: {event}\n\n" for event in (*events, "[DONE]"))


def _stream(running: GatewayProcess, path: str, **body: object) -> str:
    """A stream with what differs each time made the same, and chunks that followed each other fast put together."""
    with running.client.stream("POST", path, json={"temperature": 0, "stream": True, **body}) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = "".join(answer.iter_text())
    assert len(set(re.findall(r'"id":"((?:chat)?cmpl-\w+)"', text))) == 1
    assert len(set(re.findall(r'"created":(\d+)', text))) == 1
    text = re.sub(r'"id":"(chat)?cmpl-\w+"', '"id":"ID"', text)
    text = re.sub(r'"id":"call_\w+"', '"id":"CALL"', text)
    text = re.sub(r'"created":\d+', '"created":0', text)
    text = re.sub(r'"system_fingerprint":"fp_[0-9a-f]{10}"', '"system_fingerprint":"FP"', text)
    text = re.sub(r'"cached_tokens":\d+', '"cached_tokens":0', text)
    return "".join(_put_together(text.split("\n\n")[:-1]))


_CONTENT = re.compile(
    r'(?P<before>.*"(?:content|reasoning_content|text)":)(?P<text>"(?:[^"\\]|\\.)+")(?P<after>\}?,"logprobs":null,.*)'
)


def _put_together(events: list[str]) -> Iterator[str]:
    last: dict[str, str] | None = None
    for event in events:
        found = _CONTENT.fullmatch(event)
        if found and last and found["before"] == last["before"]:
            # A chunk that carries the finish has an end of its own.
            last["text"] = json.dumps(json.loads(last["text"]) + json.loads(found["text"]), ensure_ascii=False)
            last["after"] = found["after"]
            continue
        if last:
            yield "".join(last.values()) + "\n\n"
        last = found.groupdict() if found else None
        if not found:
            yield event + "\n\n"
    assert last is None, "a stream ends with [DONE]"


def test_a_chat_is_streamed_in_the_documented_order(demo: GatewayProcess) -> None:
    assert _stream(demo, "/v1/chat/completions", messages=ASKED, max_tokens=4) == _golden(
        _HEAD + '[{"index":0,"delta":{"role":"assistant","content":""},' + _OPEN + "}",
        _HEAD + f'[{{"index":0,"delta":{{"content":{_said(demo)}}},{_OPEN}' + "}",
        _HEAD + '[{"index":0,"delta":{},"logprobs":null,"finish_reason":"length","stop_reason":null}]}',
    )


def test_usage_comes_last_and_is_null_before_that(demo: GatewayProcess) -> None:
    num = demo.client.post("/tokenize", json={"messages": ASKED}).json()["count"]
    counts = f'"prompt_tokens":{num},"completion_tokens":4,"total_tokens":{num + 4}'
    usage = f'{{{counts},"prompt_tokens_details":{{"cached_tokens":0}}}}'
    body = {"messages": ASKED, "max_tokens": 4, "stream_options": {"include_usage": True}}
    assert _stream(demo, "/v1/chat/completions", **body) == _golden(
        _HEAD + '[{"index":0,"delta":{"role":"assistant","content":""},' + _OPEN + ',"usage":null}',
        _HEAD + f'[{{"index":0,"delta":{{"content":{_said(demo)}}},{_OPEN}' + ',"usage":null}',
        _HEAD + '[{"index":0,"delta":{},"logprobs":null,"finish_reason":"length","stop_reason":null}],"usage":null}',
        _HEAD + f'[],"usage":{usage}}}',
    )


def test_a_completion_is_streamed_with_its_echo(demo: GatewayProcess) -> None:
    text = _stream(demo, "/v1/completions", prompt="One, two", max_tokens=3, echo=True)
    whole = demo.client.post("/v1/completions", json={"prompt": "One, two", "max_tokens": 3, "temperature": 0}).json()
    said = json.dumps("One, two" + whole["choices"][0]["text"], ensure_ascii=False)
    assert text == _golden(
        _TEXT_HEAD + f'[{{"index":0,"text":{said},"logprobs":null,"finish_reason":"length","stop_reason":null}}]}}'
    )


def test_calls_are_streamed_with_their_head_before_their_arguments(parrot: GatewayProcess) -> None:
    said = 'Sure.<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call><tool_call>{"name": "g"}</tool_call>'
    tools = [{"type": "function", "function": {"name": name}} for name in "fg"]
    text = _stream(parrot, "/v1/chat/completions", messages=[{"role": "user", "content": said}], tools=tools)

    def call(index: int, name: str, arguments: str) -> tuple[str, str]:
        function = f'{{"name":"{name}","arguments":""}}'
        head = f'{{"index":{index},"id":"CALL","type":"function","function":{function}}}'
        rest = f'{{"index":{index},"function":{{"arguments":{json.dumps(arguments)}}}}}'
        first, second = (f'[{{"index":0,"delta":{{"tool_calls":[{one}]}},{_OPEN}}}' for one in (head, rest))
        return _HEAD + first, _HEAD + second

    assert text == _golden(
        _HEAD + '[{"index":0,"delta":{"role":"assistant","content":""},' + _OPEN + "}",
        _HEAD + '[{"index":0,"delta":{"content":"Sure."},' + _OPEN + "}",
        *call(0, "f", '{"a": 1}'),
        *call(1, "g", "{}"),
        _HEAD + '[{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls","stop_reason":null}]}',
    )


def test_reasoning_is_streamed_before_the_answer(parrot: GatewayProcess) -> None:
    messages = [{"role": "user", "content": "<think>Let me see.</think>Yes."}]
    assert _stream(parrot, "/v1/chat/completions", messages=messages) == _golden(
        _HEAD + '[{"index":0,"delta":{"role":"assistant","content":""},' + _OPEN + "}",
        _HEAD + '[{"index":0,"delta":{"reasoning_content":"Let me see."},' + _OPEN + "}",
        _HEAD + '[{"index":0,"delta":{"content":"Yes."},' + _OPEN + "}",
        _HEAD + '[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop","stop_reason":null}]}',
    )


def test_the_official_client_puts_a_stream_together_to_the_whole_answer(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="demo", messages=ASKED, temperature=0)
    chunks = client.chat.completions.create(model="demo", messages=ASKED, temperature=0, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content


async def test_the_async_client_reads_streams_too(demo: GatewayProcess) -> None:
    async with AsyncOpenAI(base_url=f"{demo.url}/v1", api_key="not needed") as client:
        chunks = await client.chat.completions.create(model="demo", messages=ASKED, temperature=0, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])
    assert "GATEWAY_PORT" in text


def test_several_answers_share_one_stream(client: OpenAI) -> None:
    asked: dict[str, Any] = {"model": "demo", "messages": ASKED, "n": 3, "temperature": 2, "seed": 5, "max_tokens": 12}
    whole = client.chat.completions.create(**asked)
    texts, roles, finishes = ["", "", ""], [], []
    for chunk in client.chat.completions.create(**asked, stream=True):
        (choice,) = chunk.choices
        texts[choice.index] += choice.delta.content or ""
        roles += [choice.index] if choice.delta.role else []
        finishes += [choice.index] if choice.finish_reason else []
    assert texts == [choice.message.content for choice in whole.choices]
    assert sorted(roles) == sorted(finishes) == [0, 1, 2]


def test_the_clients_own_accumulation_gives_the_usage(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model="demo", messages=ASKED, temperature=0, stream_options={"include_usage": True}
    ) as stream:
        stream.until_done()
        final = stream.get_final_completion()
    assert "GATEWAY_PORT" in (final.choices[0].message.content or "")
    assert final.usage is not None
    assert final.usage.total_tokens == final.usage.prompt_tokens + final.usage.completion_tokens > 0


def test_emoji_are_whole_in_every_chunk(client: OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "Say hello with emoji."}]
    chunks = client.chat.completions.create(model="demo", messages=messages, temperature=0, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert any(ord(character) > 0xFFFF for character in text)
    assert "\N{REPLACEMENT CHARACTER}" not in text
