"""From a body to its whole answer or its stream: what the routes and the batch share."""

from collections.abc import AsyncGenerator

from llm_gateway.api.collect import collect
from llm_gateway.api.openai import chat, chat_chunks, completions
from llm_gateway.api.openai.envelope import Envelopes
from llm_gateway.api.openai.errors import prompt_is_in
from llm_gateway.api.openai.schema import ChatBody, CompletionBody, GenerationFields
from llm_gateway.api.openai.several import answer_each, at_once, collect_each
from llm_gateway.api.openai.translate import chat_request, completion_requests
from llm_gateway.api.parts import ApiParts
from llm_gateway.api.served_model import ServedModel
from llm_gateway.telemetry.request_record import RequestRecord


class Answers:
    """Answers chats and completions."""

    def __init__(self, parts: ApiParts, served: ServedModel) -> None:
        self._parts = parts
        self._served = served
        self._envelopes = Envelopes(parts, served.name)
        self._max_answers = parts.settings.max_num_sequences
        self.num_at_once = at_once(parts.settings.max_concurrent_requests)

    async def chat(self, body: ChatBody, record: RequestRecord) -> chat.ChatCompletion:
        """Answer a chat, all at once.

        Raises:
            GatewayError: there is no answer.
        """
        self._served.check(body.model)
        wanted = chat_request(body, record.request_id, self._max_answers)
        with prompt_is_in("messages"):
            answers = await collect(self._parts.generator, wanted, record)
        envelope = await self._envelopes.make(chat.KIND, "chatcmpl", record)
        return chat.chat_completion(envelope, wanted, answers, record, top_logprobs=bool(body.top_logprobs))

    async def chat_stream(self, body: ChatBody, record: RequestRecord) -> AsyncGenerator[bytes, None]:
        """Answer a chat as a stream of events.

        Raises:
            GatewayError: there is no answer; that the engine cannot make one turns out with the first event.
        """
        self._served.check(body.model)
        wanted = chat_request(body, record.request_id, self._max_answers)
        chunks = chat_chunks.ChatChunks(
            await self._envelopes.make(chat_chunks.KIND, "chatcmpl", record),
            wanted,
            include_usage=_include_usage(body),
            top_logprobs=bool(body.top_logprobs),
        )
        return chat_chunks.chat_frames(chunks, self._parts.generator.answer(wanted, record), record)

    async def completion(
        self, body: CompletionBody, record: RequestRecord, *, num_at_once: int | None = None
    ) -> completions.Completion:
        """Complete all prompts, all at once; `num_at_once` is how many of them may be under way together.

        Raises:
            GatewayError: one of them has no answer.
        """
        self._served.check(body.model)
        wanted = completion_requests(body, record.request_id, self._max_answers)
        echoes = await self._echoes(body)
        with prompt_is_in("prompt"):
            answers = await collect_each(self._parts.generator, wanted, record, num_at_once or self.num_at_once)
        envelope = await self._envelopes.make(completions.KIND, "cmpl", record)
        return completions.completion(envelope, wanted[0], answers, echoes, record)

    async def completion_stream(self, body: CompletionBody, record: RequestRecord) -> AsyncGenerator[bytes, None]:
        """Complete all prompts as one stream of events.

        Raises:
            GatewayError: there is no answer; that the engine cannot make one turns out with the first event.
        """
        self._served.check(body.model)
        wanted = completion_requests(body, record.request_id, self._max_answers)
        chunks = completions.CompletionChunks(
            await self._envelopes.make(completions.KIND, "cmpl", record),
            wanted[0],
            await self._echoes(body),
            include_usage=_include_usage(body),
        )
        pieces = answer_each(self._parts.generator, wanted, record, self.num_at_once)
        return completions.completion_frames(chunks, pieces, record)

    async def _echoes(self, body: CompletionBody) -> list[str]:
        """The texts of the prompts, where they are asked for; those that came as ids are turned into text."""
        if not body.echo:
            return []
        return [
            prompt if isinstance(prompt, str) else await self._parts.tokenization.text(prompt) for prompt in body.prompt
        ]


def _include_usage(body: GenerationFields) -> bool:
    return body.stream_options is not None and bool(body.stream_options.include_usage)
