"""Texts to token ids and back, with the loaded model's tokenizer, for clients that count or look."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from llm_gateway.answer_rules import prepare_request
from llm_gateway.errors import InvalidRequestError
from llm_gateway.generation import GenerationRequest
from llm_gateway.generator import Generator
from llm_gateway.models.pool import LoadedModel
from llm_gateway.prompt.prepare import PreparedPrompt
from llm_gateway.prompt.tokenizer import PromptTokenizerError
from llm_gateway.telemetry.request_record import current_record


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """One token, and where in the text it stands, in characters."""

    token_id: int
    token: str
    start: int
    stop: int


class Tokenization:
    """The tokenizer of the one loaded model."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator

    async def spans(self, text: str, *, add_special_tokens: bool) -> list[TokenSpan]:
        """Tokenize a text as a raw prompt is.

        Raises:
            NotReadyError: no model is loaded.
            InvalidRequestError: the text is no text.
        """
        model = await self._model()
        return await asyncio.to_thread(_spans, model, model.tokenizer.raw(text), add_special_tokens)

    async def prompt_spans(self, request: GenerationRequest) -> tuple[str, list[TokenSpan]]:
        """Make the text that the engine would be given for a request of messages, and its tokens.

        Raises:
            NotReadyError: no model is loaded.
            InvalidRequestError: the prompt cannot be made.
        """
        model = await self._model()
        prompt = (await asyncio.to_thread(prepare_request, request, model)).prompt
        return prompt.text, await asyncio.to_thread(_spans, model, prompt.named, False)

    async def prompt_ids(self, request: GenerationRequest) -> list[int]:
        """Tokenize what the engine would be given for a request, its chat template included.

        Raises:
            NotReadyError: no model is loaded.
            InvalidRequestError: the prompt cannot be made.
        """
        return (await self.prompt(request)).token_ids

    async def prompt(self, request: GenerationRequest) -> PreparedPrompt:
        """The same, with the text that the chat template made.

        Raises:
            NotReadyError: no model is loaded.
            InvalidRequestError: the prompt cannot be made.
        """
        return (await asyncio.to_thread(prepare_request, request, await self._model())).prompt

    async def tokens(self, token_ids: Sequence[int]) -> list[str]:
        """Return each token as its vocabulary writes it."""
        model = await self._model()
        return await asyncio.to_thread(_written, model, token_ids)

    async def text(self, token_ids: Sequence[int]) -> str:
        """Turn token ids back into a text, special tokens included.

        Raises:
            NotReadyError: no model is loaded.
            InvalidRequestError: there is no such token.
        """
        model = await self._model()
        unknown = next((one for one in token_ids if not 0 <= one < model.tokenizer.vocabulary_size), None)
        if unknown is not None:
            last = model.tokenizer.vocabulary_size - 1
            raise InvalidRequestError(f"tokens has {unknown}, this model's token ids are from 0 to {last}")
        text: str = await asyncio.to_thread(
            model.tokenizer.underlying.decode, list(token_ids), skip_special_tokens=False
        )
        return text

    async def context_tokens(self) -> int:
        """How many tokens prompt and answer can have together."""
        return (await self._model()).context_tokens

    async def _model(self) -> LoadedModel:
        return await self._generator.model(current_record.get())


def _written(model: LoadedModel, token_ids: Sequence[int]) -> list[str]:
    return [model.tokenizer.underlying.id_to_token(token_id) or "" for token_id in token_ids]


def _spans(model: LoadedModel, named: str, add_special_tokens: bool) -> list[TokenSpan]:
    tokenizer = model.tokenizer
    try:
        found = tokenizer.spans_named(named, add_special_tokens=add_special_tokens)
    except PromptTokenizerError as error:
        raise InvalidRequestError(str(error)) from error
    text = tokenizer.names.restored(named)
    return [
        TokenSpan(token_id, text[start:stop] or tokenizer.underlying.id_to_token(token_id) or "", start, stop)
        for token_id, start, stop in found
    ]
