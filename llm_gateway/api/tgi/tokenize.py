"""TGI's /tokenize and /chat_tokenize: the prompt as the model reads it."""

import asyncio
from collections.abc import Sequence

from llm_gateway.api.tgi.answers import ChatTokenizeAnswer, SimpleToken
from llm_gateway.api.tgi.limits import check_truncate
from llm_gateway.api.tgi.schema import ChatTokenizeBody, InputsBody, TgiMessage, TgiTool
from llm_gateway.errors import UnsupportedError
from llm_gateway.generation import GenerationRequest, Message, PromptSource, Tool, ToolUse
from llm_gateway.tokenization import Tokenization, TokenSpan


async def tokenize(tokenization: Tokenization, body: InputsBody) -> list[SimpleToken]:
    """Tokenize `inputs` as /generate does, `truncate` included.

    Raises:
        GatewayError: no model is loaded, the text is no text, or `truncate` cannot be used.
    """
    spans = await tokenization.spans(body.inputs, add_special_tokens=True)
    tokens, truncate = await asyncio.to_thread(_tokens, body.inputs, spans), body.how.truncate
    if truncate is None:
        return tokens
    check_truncate(truncate, await tokenization.context_tokens())
    return tokens[-truncate:]


async def chat_tokenize(tokenization: Tokenization, body: ChatTokenizeBody, request_id: str) -> ChatTokenizeAnswer:
    """Put a conversation into the model's chat template and tokenize that.

    Raises:
        GatewayError: no model is loaded, or its template refuses the conversation.
    """
    tools = tuple(_tool(tool) for tool in body.tools or ())
    request = GenerationRequest(
        request_id=request_id,
        prompt=PromptSource(messages=tuple(_message(message) for message in body.messages)),
        tools=tools,
        tool_use=ToolUse.AUTO if tools else ToolUse.NONE,
    )
    text, spans = await tokenization.prompt_spans(request)
    return ChatTokenizeAnswer(await asyncio.to_thread(_tokens, text, spans), text)


def _tokens(text: str, spans: Sequence[TokenSpan]) -> list[SimpleToken]:
    return [SimpleToken(span.token_id, text[span.start : span.stop], span.start, span.stop) for span in spans]


def _message(message: TgiMessage) -> Message:
    if not isinstance(message.content, list):
        return message.model_dump()
    other = next((part.type for part in message.content if part.text is None), None)
    if other is not None:
        raise UnsupportedError(f"messages has a part of type {other!r}, only text is supported", field="messages")
    return {**message.model_dump(), "content": "".join(part.text or "" for part in message.content)}


def _tool(tool: TgiTool) -> Tool:
    return Tool(tool.function.name, tool.function.parameters, {"type": "function", **tool.model_dump()})
