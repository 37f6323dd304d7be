"""From what a client sent to the token ids that an engine reads: template, then tokenizer; in the caller's thread.

On the way, the control tokens that a template writes, or whoever sends a raw prompt, stand as their secret names
(`control_names`). What looks like one elsewhere is text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llm_gateway.errors import InvalidRequestError
from llm_gateway.generation import Message, PromptSource
from llm_gateway.prompt.chat_template import ChatTemplate, ChatTemplateError
from llm_gateway.prompt.conversation import write_conversation
from llm_gateway.prompt.tokenizer import PromptTokenizer, PromptTokenizerError
from llm_gateway.stream.reasoning import END, begins_inside

_ENDING = "\N{START OF TEXT}the answer goes on here\N{END OF TEXT}"
"""Stands for the end of a message that is to be continued, to find it again in what the template made."""


@dataclass(frozen=True, slots=True)
class PreparedPrompt:
    """A prompt as the engine reads it, and as it reads to people; ids that came as ids have no text."""

    token_ids: list[int]
    text: str = ""
    named: str = ""
    """The text with the control tokens as their names."""


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
    prompt = _prepare(source, tokenizer, template, tools, to_the_point=to_the_point)
    if source.keep_last_tokens is None:
        return prompt
    return replace(prompt, token_ids=prompt.token_ids[-source.keep_last_tokens :])


def _prepare(
    source: PromptSource,
    tokenizer: PromptTokenizer,
    template: ChatTemplate | None,
    tools: Sequence[object],
    *,
    to_the_point: bool,
) -> PreparedPrompt:
    if source.token_ids is not None:
        return PreparedPrompt(_checked(source.token_ids, tokenizer))
    messages = source.messages
    if messages is None and not source.raw and template is not None:
        messages = ({"role": "user", "content": source.text or ""},)
    if messages is None:
        named = _raw(source, tokenizer)
    elif template is None:
        raise InvalidRequestError("messages were sent, but this model has no chat template; send a prompt instead")
    else:
        named = _rendered(source, messages, tokenizer, template, tools)
    if to_the_point and begins_inside(tokenizer.names.restored(named)):
        named += tokenizer.names.named(f"\n{END}\n\n")
    # A raw prompt has no template that would write the model's special tokens.
    return _encoded(named, tokenizer, add_special_tokens=messages is None)


def _raw(source: PromptSource, tokenizer: PromptTokenizer) -> str:
    """Name the tokens that the writer of a whole prompt spelled out; any other text is a user's from end to end."""
    text = source.text or ""
    if not source.raw:
        return text
    pieces: list[str] = []
    end = 0
    for start, stop in source.user_spans:
        pieces += tokenizer.raw(text[end:start]), text[start:stop]
        end = stop
    return "".join((*pieces, tokenizer.raw(text[end:])))


def _rendered(
    source: PromptSource,
    messages: tuple[Message, ...],
    tokenizer: PromptTokenizer,
    template: ChatTemplate,
    tools: Sequence[object],
) -> str:
    variables = dict(source.template_variables) | ({"tools": list(tools)} if tools else {})
    names, adds_prompt = tokenizer.names, source.add_generation_prompt and not source.continue_final_message
    if source.continue_final_message:
        messages = _marked(messages)
    try:
        text = write_conversation(template, names, messages, variables, add_generation_prompt=adds_prompt)
    except ChatTemplateError as error:
        raise InvalidRequestError(f"messages cannot be put into the model's chat template: {error}") from error
    return _cut_at_mark(text) if source.continue_final_message else text


def _marked(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Mark where the last message ends; templates may trim what is at a message's end."""
    last = messages[-1]
    content = str(last.get("content") or "").rstrip()
    return (*messages[:-1], {**last, "content": content + _ENDING})


def _cut_at_mark(text: str) -> str:
    if _ENDING not in text:
        raise InvalidRequestError("the model's chat template leaves the last message out, so it cannot be continued")
    return text[: text.rindex(_ENDING)]


def _encoded(named: str, tokenizer: PromptTokenizer, *, add_special_tokens: bool) -> PreparedPrompt:
    try:
        token_ids = tokenizer.encode_named(named, add_special_tokens=add_special_tokens)
    except PromptTokenizerError as error:
        raise InvalidRequestError(f"the prompt cannot be tokenized: {error}") from error
    return PreparedPrompt(token_ids, tokenizer.names.restored(named), named)


def _checked(token_ids: Sequence[int], tokenizer: PromptTokenizer) -> list[int]:
    unknown = next((token_id for token_id in token_ids if not 0 <= token_id < tokenizer.vocabulary_size), None)
    if unknown is not None:
        raise InvalidRequestError(
            f"prompt has the token id {unknown}, this model's are from 0 to {tokenizer.vocabulary_size - 1}"
        )
    return list(token_ids)
