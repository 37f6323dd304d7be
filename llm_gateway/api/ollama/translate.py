"""From a body of /api/generate or /api/chat to the words of generation."""

from llm_gateway.api.ollama.go_template import render_go_template
from llm_gateway.api.ollama.messages import to_messages, to_tools
from llm_gateway.api.ollama.schema import AnswerBody, ChatBody, GenerateBody, MessageBody
from llm_gateway.errors import InvalidRequestError, UnsupportedError
from llm_gateway.generation import GenerationRequest, JsonAnswer, PromptSource, Sampling, Tool, ToolUse
from llm_gateway.models.pool import LoadedModel

_MAX_TOP_LOGPROBS = 20


def generate_request(body: GenerateBody, model: LoadedModel, request_id: str) -> GenerationRequest:
    """Read one prompt.

    Raises:
        InvalidRequestError: something in the body cannot be done.
    """
    if body.suffix:
        raise UnsupportedError(f'"{body.model}" does not support insert', field="suffix")
    _check_images(body.images, body.model)
    if body.context:
        raise UnsupportedError(
            "context is not supported, and no answer here has any; send the conversation's messages to /api/chat",
            field="context",
        )
    return _request(body, _prompt(body), model, request_id)


def chat_request(body: ChatBody, model: LoadedModel, request_id: str) -> GenerationRequest:
    """Read a conversation.

    Raises:
        InvalidRequestError: something in the body cannot be done.
    """
    for message in body.messages:
        _check_images(message.images, body.model)
    if body.tools and model.tool_format is None:
        raise UnsupportedError(f'"{body.model}" does not support tools', field="tools")
    prompt = PromptSource(
        messages=to_messages(body.messages), continue_final_message=_is_begun_answer(body.messages[-1])
    )
    return _request(body, prompt, model, request_id, to_tools(body.tools))


def _is_begun_answer(last: MessageBody) -> bool:
    """Ollama goes on with a last message that is the assistant's own."""
    return last.role.lower() == "assistant" and bool(last.content) and not last.tool_calls


def _prompt(body: GenerateBody) -> PromptSource:
    if body.raw:
        if body.template or body.system:
            raise InvalidRequestError("raw mode does not support template, system, or context", field="raw")
        return PromptSource(text=body.prompt, raw=True)
    if body.template:
        filled = render_go_template(body.template, system=body.system, prompt=body.prompt)
        return PromptSource(text=filled.text, raw=True, user_spans=filled.user_spans)
    if body.system:
        system = {"role": "system", "content": body.system}
        return PromptSource(messages=(system, {"role": "user", "content": body.prompt}))
    return PromptSource(text=body.prompt)


def _request(
    body: AnswerBody, prompt: PromptSource, model: LoadedModel, request_id: str, tools: tuple[Tool, ...] = ()
) -> GenerationRequest:
    sampling = body.options.sampling()
    _check_logprobs(body, sampling)
    return GenerationRequest(
        request_id=request_id,
        prompt=_with_thinking(prompt, body, model),
        max_tokens=body.options.max_tokens(),
        sampling=sampling,
        stop=tuple(text for text in body.options.stop if text),
        token_details=body.logprobs,
        shape=_shape(body),
        tools=tools,
        tool_use=ToolUse.AUTO if tools else ToolUse.NONE,
        split_reasoning=model.thinks,
    )


def _with_thinking(prompt: PromptSource, body: AnswerBody, model: LoadedModel) -> PromptSource:
    """Tell the template whether to think: unless it was asked, a model that can does, but not within a format."""
    if not model.thinks:
        if body.think:
            raise UnsupportedError(f'"{body.model}" does not support thinking', field="think")
        return prompt
    if body.think and body.format:
        raise UnsupportedError(
            "think and format cannot be used together here, since the format holds from the first token on; "
            "send think false, or leave format out",
            field="think",
        )
    thinks = not body.format if body.think is None else bool(body.think)
    variables: dict[str, object] = {"enable_thinking": thinks}
    if isinstance(body.think, str):
        variables["reasoning_effort"] = body.think
    return PromptSource(
        text=prompt.text,
        messages=prompt.messages,
        raw=prompt.raw,
        user_spans=prompt.user_spans,
        template_variables=variables,
        continue_final_message=prompt.continue_final_message,
    )


def _shape(body: AnswerBody) -> JsonAnswer | None:
    if not body.format:
        return None
    return JsonAnswer(None if isinstance(body.format, str) else body.format)


def _check_images(images: list[str], model: str) -> None:
    if images:
        raise UnsupportedError(f'"{model}" does not support vision', field="images")


def _check_logprobs(body: AnswerBody, sampling: Sampling) -> None:
    if not 0 <= body.top_logprobs <= _MAX_TOP_LOGPROBS:
        raise InvalidRequestError(f"top_logprobs must be between 0 and {_MAX_TOP_LOGPROBS}", field="top_logprobs")
    takes_likeliest = sampling.greedy and not sampling.penalizes and not body.format
    if body.logprobs and body.top_logprobs and not (takes_likeliest and body.top_logprobs == 1):
        raise UnsupportedError(
            f"top_logprobs is {body.top_logprobs}, but the engine reports the chosen token alone; ask for 0, or for 1 "
            "with temperature 0, no penalties and no format, where the likeliest token is the chosen one",
            field="top_logprobs",
        )
