"""A chat's answer that is whole."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from llm_gateway.api.collect import WholeAnswer
from llm_gateway.api.openai.envelope import Envelope, UsageBody, stop_reason, usage_body
from llm_gateway.api.openai.logprobs import ChatLogprobs, chat_logprobs
from llm_gateway.api.openai.tools import new_call_id
from llm_gateway.generation import FinishReason, GenerationRequest, ToolCall
from llm_gateway.telemetry.request_record import RequestRecord

KIND = "chat.completion"
CALLS = "tool_calls"
"""The finish reason of an answer that calls tools, whatever ended it."""


class CalledFunctionBody(msgspec.Struct):
    """The function, and its arguments as JSON text."""

    name: str
    arguments: str


class ToolCallBody(msgspec.Struct):
    """A call that the client is to make."""

    id: str
    type: str
    function: CalledFunctionBody


class AnswerMessage(msgspec.Struct):
    """What the model said."""

    role: str
    content: str | None
    refusal: None = None
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[ToolCallBody] | UnsetType = UNSET


class ChatChoice(msgspec.Struct):
    """One of the `n` answers."""

    index: int
    message: AnswerMessage
    logprobs: ChatLogprobs | None
    finish_reason: str
    stop_reason: str | int | None


class ChatCompletion(msgspec.Struct):
    """The whole of it."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: str | None
    choices: list[ChatChoice]
    usage: UsageBody


def chat_completion(
    envelope: Envelope,
    request: GenerationRequest,
    answers: Sequence[WholeAnswer],
    record: RequestRecord,
    *,
    top_logprobs: bool,
) -> ChatCompletion:
    """Write a chat's answer; `top_logprobs` names the chosen token once more, as the likeliest."""
    choices = [_choice(index, request, answer, top_logprobs) for index, answer in enumerate(answers)]
    return ChatCompletion(**msgspec.structs.asdict(envelope), choices=choices, usage=usage_body(record))


def calls_given_out(request: GenerationRequest, calls: Sequence[ToolCall], already: int) -> Sequence[ToolCall]:
    """Drop what `parallel_tool_calls: false` leaves no room for, of a model that calls several all the same."""
    return calls if request.parallel_tool_calls else calls[: max(0, 1 - already)]


def _choice(index: int, request: GenerationRequest, answer: WholeAnswer, top_logprobs: bool) -> ChatChoice:
    calls = [
        ToolCallBody(new_call_id(), "function", CalledFunctionBody(call.name, call.arguments))
        for call in calls_given_out(request, answer.tool_calls, 0)
    ]
    message = AnswerMessage(
        "assistant",
        None if calls and not answer.text else answer.text,
        reasoning_content=answer.reasoning or UNSET,
        tool_calls=calls or UNSET,
    )
    return ChatChoice(
        index,
        message,
        chat_logprobs(answer.tokens, top=top_logprobs) if request.token_details else None,
        finish_word(answer.finish, called=bool(calls)),
        stop_reason(request, answer.stopped_by),
    )


def finish_word(finish: FinishReason, *, called: bool) -> str:
    return CALLS if called else str(finish)
