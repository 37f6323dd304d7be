"""A list of requests in one: answered in order, each with its answer or its own error, and only so many at once."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

from pydantic import ValidationError

from llm_gateway.api.error_bodies import from_validation
from llm_gateway.api.openai.answers import Answers
from llm_gateway.api.openai.errors import error_object
from llm_gateway.api.openai.prompts import MAX_PROMPTS
from llm_gateway.api.openai.schema import ChatBody, CompletionBody
from llm_gateway.api.openai.several import Siblings
from llm_gateway.errors import GatewayError, InvalidRequestError
from llm_gateway.telemetry.request_record import Outcome, RequestRecord

EXAMPLE: Final = [
    {"prompt": "The port is set by", "max_tokens": 16},
    {"messages": [{"role": "user", "content": "How do I change the port?"}], "max_tokens": 64},
]


async def answer_batch(items: Sequence[object], answers: Answers, record: RequestRecord) -> list[object]:
    """Answer every item; the result of each is a completion, a chat's completion, or `{"error": {...}}`.

    Raises:
        InvalidRequestError: there are too many.
    """
    if len(items) > MAX_PROMPTS:
        raise InvalidRequestError(
            f"the batch has {len(items)} items, at most {MAX_PROMPTS} are allowed; send it as several"
        )
    results: list[object] = [None] * len(items)
    todo = iter(enumerate(items))
    siblings = Siblings(record)

    async def work() -> None:
        for index, item in todo:
            try:
                results[index] = await siblings.answer(index, partial(_answer, item, answers))
            except GatewayError as error:
                results[index] = {"error": error_object(error)}

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(answers.num_at_once, len(items))):
                group.create_task(work())
    except asyncio.CancelledError:
        record.outcome = Outcome.CANCELLED
        raise
    record.outcome = Outcome.FINISHED
    return results


async def _answer(item: object, answers: Answers, part: RequestRecord) -> object:
    if not isinstance(item, dict):
        raise InvalidRequestError("this item is no JSON object; expected the body of a completion or of a chat")
    try:
        body = (ChatBody if "messages" in item else CompletionBody).model_validate(item)
    except ValidationError as error:
        raise from_validation(error.errors()) from error
    if body.stream:
        raise InvalidRequestError("stream is true, but a batch is answered as a whole; leave it out", field="stream")
    if isinstance(body, ChatBody):
        return await answers.chat(body, part)
    return await answers.completion(body, part, num_at_once=1)
