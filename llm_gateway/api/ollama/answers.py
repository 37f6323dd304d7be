"""What /api/generate and /api/chat answer once it is whole, in the order of Ollama's own structs.

As there, a key whose value is empty or zero is left out, except those that clients read without asking.
"""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from llm_gateway.api.collect import WholeAnswer
from llm_gateway.api.ollama.logprobs import to_logprobs
from llm_gateway.api.ollama.schema import AnswerBody
from llm_gateway.generation import ToolCall
from llm_gateway.telemetry.request_record import RequestRecord

_NANOSECONDS = 1_000_000_000
_ID_BYTES = 5


def generate_answer(model: str, answer: WholeAnswer, **rest: object) -> dict[str, object]:
    """The answer to a prompt; `rest` are the keys of its end."""
    return {
        "model": model,
        "created_at": datetime.now(UTC),
        "response": answer.text,
        **present(thinking=answer.reasoning),
        "done": True,
        **rest,
    }


def chat_answer(model: str, answer: WholeAnswer, **rest: object) -> dict[str, object]:
    """The answer to a conversation; `rest` are the keys of its end."""
    return {
        "model": model,
        "created_at": datetime.now(UTC),
        "message": {
            "role": "assistant",
            "content": answer.text,
            **present(thinking=answer.reasoning, tool_calls=to_calls(answer.tool_calls)),
        },
        "done": True,
        **rest,
    }


def ending(answer: WholeAnswer, record: RequestRecord, body: AnswerBody) -> dict[str, object]:
    """The keys of an answer's end: why, how much, how long, and of a whole answer its tokens."""
    logprobs = to_logprobs(answer.tokens, top=body.top_logprobs > 0)
    return {"done_reason": answer.finish, **_metrics(record), **present(logprobs=logprobs)}


def to_calls(calls: Sequence[ToolCall], first_index: int = 0) -> list[dict[str, object]]:
    """Calls, whose arguments are an object here, where OpenAI's clients get a text; ids are such as Mistral's are."""
    return [
        {
            "id": secrets.token_hex(_ID_BYTES)[:9],
            "function": {"index": index, "name": call.name, "arguments": msgspec.Raw(call.arguments.encode())},
        }
        for index, call in enumerate(calls, start=first_index)
    ]


def present(**values: object) -> dict[str, object]:
    """Leave out what is empty or zero."""
    return {key: value for key, value in values.items() if value}


def _metrics(record: RequestRecord) -> dict[str, object]:
    """Tokens and nanoseconds; what is before the model has the prompt, a load on demand above all, is `load`."""
    timings, usage = record.timings, record.usage
    queue_s, total_s = timings.queue_s or 0, timings.total_s or 0
    first_token_s = total_s if timings.first_token_s is None else timings.first_token_s
    return present(
        total_duration=_nanoseconds(total_s),
        load_duration=_nanoseconds(timings.admitted_s or 0),
        prompt_eval_count=usage.prompt_tokens,
        prompt_eval_duration=_nanoseconds(first_token_s - queue_s),
        eval_count=usage.completion_tokens,
        eval_duration=_nanoseconds(total_s - first_token_s),
    )


def _nanoseconds(seconds: float) -> int:
    return round(_NANOSECONDS * seconds)
