"""From what a client sent to the token ids that an engine reads: template, then tokenizer, in a thread."""

import asyncio

from llm_gateway.errors import InvalidRequestError
from llm_gateway.generation import GenerationRequest, Message
from llm_gateway.prompt.chat_template import ChatTemplate, ChatTemplateError
from llm_gateway.prompt.tokenizer import PromptTokenizer, PromptTokenizerError


async def prompt_token_ids(
    request: GenerationRequest, tokenizer: PromptTokenizer, template: ChatTemplate | None
) -> list[int]:
    """Render and tokenize off the event loop, which must stay free to answer health checks.

    A prompt without messages is one turn of the user, unless it is raw or the model has no chat template.

    Raises:
        InvalidRequestError: the template refuses the messages, there is none for them, or the text is no text.
    """
    try:
        return await asyncio.to_thread(_prepare, request, tokenizer, template)
    except ChatTemplateError as error:
        raise InvalidRequestError(f"messages cannot be put into the model's chat template: {error}") from error
    except PromptTokenizerError as error:
        raise InvalidRequestError(f"the prompt cannot be tokenized: {error}") from error


def _prepare(request: GenerationRequest, tokenizer: PromptTokenizer, template: ChatTemplate | None) -> list[int]:
    if request.messages is not None:
        if template is None:
            raise InvalidRequestError("messages were sent, but this model has no chat template; send a prompt instead")
        return _encode_chat(request.messages, tokenizer, template)
    prompt = request.prompt or ""
    if request.raw or template is None:
        return tokenizer.encode(prompt, add_special_tokens=True)
    return _encode_chat(({"role": "user", "content": prompt},), tokenizer, template)


def _encode_chat(messages: tuple[Message, ...], tokenizer: PromptTokenizer, template: ChatTemplate) -> list[int]:
    text = template.render(messages, add_generation_prompt=True)
    # The template writes the model's special tokens itself.
    return tokenizer.encode(text, add_special_tokens=False)
