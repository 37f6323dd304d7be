"""From what a client sent to the token ids that an engine reads: template, then tokenizer; in the caller's thread."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llm_gateway.errors import InvalidRequestError
from llm_gateway.generation import Message, PromptSource
from llm_gateway.prompt.chat_template import ChatTemplate, ChatTemplateError
from llm_gateway.prompt.tokenizer import PromptTokenizer, PromptTokenizerError
from llm_gateway.stream.reasoning import END, begins_inside

_ENDING = "\N{START OF TEXT}the answer goes on here\N{END OF TEXT}"
"""Stands for the end of a message that is to be continued, to find it again in what the template made."""


@dataclass(frozen=True, slots=True)
class PreparedPrompt:
    """A prompt as the engine reads it, and as it reads to people; ids that came as ids have no text."""

    token_ids: list[int]
    text: str = ""


def prepare_prompt(
    source: PromptSource,
    tokenizer: PromptTokenizer,
    template: ChatTemplate | None,
    tools: Sequence[object] = (),
    *,
    to_the_point: bool = False,
) -> PreparedPrompt:
    """Render and tokenize.

    A text is one turn of the user, unless it is raw or the model has no chat template. `tools` are definitions for the
    template to show. `to_the_point` keeps a thinking model from thinking first: by the template's own switch, or by
    ending the thoughts that the template begins.

    Raises:
        InvalidRequestError: the template refuses the messages, there is none for them, or the text is no text.
    """
    if to_the_point:
        source = replace(source, template_variables={"enable_thinking": False, **source.template_variables})
    prompt = _prepare(source, tokenizer, template, tools)
    if to_the_point and begins_inside(prompt.text):
        prompt = _encoded(f"{prompt.text}\n{END}\n\n", tokenizer, add_special_tokens=False)
    if source.keep_last_tokens is None:
        return prompt
    return PreparedPrompt(prompt.token_ids[-source.keep_last_tokens :], prompt.text)


def _prepare(
    source: PromptSource, tokenizer: PromptTokenizer, template: ChatTemplate | None, tools: Sequence[object]
) -> PreparedPrompt:
    if source.token_ids is not None:
        return PreparedPrompt(_checked(source.token_ids, tokenizer))
    if source.messages is None and (source.raw or template is None):
        # A raw prompt has no template that would write the model's special tokens.
        return _encoded(source.text or "", tokenizer, add_special_tokens=True)
    if template is None:
        raise InvalidRequestError("messages were sent, but this model has no chat template; send a prompt instead")
    messages = source.messages or ({"role": "user", "content": source.text or ""},)
    return _encoded(_rendered(source, messages, template, tools), tokenizer, add_special_tokens=False)


def _rendered(
    source: PromptSource, messages: tuple[Message, ...], template: ChatTemplate, tools: Sequence[object]
) -> str:
    variables = dict(source.template_variables) | ({"tools": list(tools)} if tools else {})
    try:
        if source.continue_final_message:
            return _unfinished(messages, template, variables)
        return template.render(messages, add_generation_prompt=source.add_generation_prompt, **variables)
    except ChatTemplateError as error:
        raise InvalidRequestError(f"messages cannot be put into the model's chat template: {error}") from error


def _unfinished(messages: tuple[Message, ...], template: ChatTemplate, variables: dict[str, object]) -> str:
    """Render so that the text ends where the last message does; templates may trim what is at a message's end."""
    last = messages[-1]
    content = str(last.get("content") or "").rstrip()
    marked = (*messages[:-1], {**last, "content": content + _ENDING})
    text = template.render(marked, add_generation_prompt=False, **variables)
    if _ENDING not in text:
        raise InvalidRequestError("the model's chat template leaves the last message out, so it cannot be continued")
    return text[: text.rindex(_ENDING)]


def _encoded(text: str, tokenizer: PromptTokenizer, *, add_special_tokens: bool) -> PreparedPrompt:
    try:
        return PreparedPrompt(tokenizer.encode(text, add_special_tokens=add_special_tokens), text)
    except PromptTokenizerError as error:
        raise InvalidRequestError(f"the prompt cannot be tokenized: {error}") from error


def _checked(token_ids: Sequence[int], tokenizer: PromptTokenizer) -> list[int]:
    unknown = next((token_id for token_id in token_ids if not 0 <= token_id < tokenizer.vocabulary_size), None)
    if unknown is not None:
        raise InvalidRequestError(
            f"prompt has the token id {unknown}, this model's are from 0 to {tokenizer.vocabulary_size - 1}"
        )
    return list(token_ids)
