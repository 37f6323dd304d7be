"""From OpenAI's bodies to the words of generation."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from llm_gateway.api.openai.logprobs import check_chat_logprobs, check_top_logprobs
from llm_gateway.api.openai.messages import template_messages
from llm_gateway.api.openai.prompts import Prompt
from llm_gateway.api.openai.response_format import answer_shape
from llm_gateway.api.openai.schema import ChatBody, CompletionBody, GenerationFields, TokenizeBody
from llm_gateway.api.openai.tools import plan_tools
from llm_gateway.api.openai.unsupported import refuse_unsupported
from llm_gateway.errors import InvalidRequestError, UnsupportedError
from llm_gateway.generation import UNTIL_CONTEXT_IS_FULL, GenerationRequest, PromptSource, Sampling, ToolUse

COMPLETION_TOKENS: Final = 16
"""Length of a completion where the body names none, as OpenAI documents it; a chat's answer has no limit of its own."""

_SEEDS: Final = 1 << 32
_RESERVED: Final = frozenset({"self", "messages", "tools", "add_generation_prompt"})


def chat_request(body: ChatBody, request_id: str, max_answers: int) -> GenerationRequest:
    """Read a chat's body; `max_answers` is how many `n` may ask for.

    Raises:
        InvalidRequestError: a field cannot be used, or not together with another one.
    """
    refuse_unsupported(body.model_extra, chat=True)
    check_chat_logprobs(bool(body.logprobs), body.top_logprobs)
    plan = plan_tools(body.tools, body.tool_choice)
    request = replace(
        _request(body, request_id, _chat_prompt(body), max_answers),
        max_tokens=body.max_completion_tokens or body.max_tokens or UNTIL_CONTEXT_IS_FULL,
        token_details=bool(body.logprobs),
        tools=plan.tools,
        tool_use=plan.use,
        forced_tool=plan.forced,
        parallel_tool_calls=body.parallel_tool_calls is not False,
        split_reasoning=True,
    )
    if request.shape is not None and plan.use is not ToolUse.NONE:
        raise UnsupportedError(
            "response_format and tools were both sent, and an answer is held to one form; "
            'leave one of them out, or set tool_choice to "none"',
            field="response_format",
        )
    return _checked(request, "top_logprobs", body.top_logprobs or 0)


def completion_requests(body: CompletionBody, request_id: str, max_answers: int) -> list[GenerationRequest]:
    """Read a completion's body, which is one request for each of its prompts.

    Raises:
        InvalidRequestError: a field cannot be used, or not together with another one.
    """
    refuse_unsupported(body.model_extra, chat=False)
    first = replace(
        _request(body, request_id, PromptSource(), max_answers),
        max_tokens=body.max_tokens or COMPLETION_TOKENS,
        token_details=body.logprobs is not None,
    )
    first = _checked(first, "logprobs", body.logprobs or 0)
    if body.echo and (body.logprobs is not None or body.truncate_prompt_tokens is not None):
        field = "logprobs" if body.logprobs is not None else "truncate_prompt_tokens"
        raise UnsupportedError(
            f"echo and {field} were both sent, but the prompt is given back only whole and as text; "
            "leave one of them out",
            field="echo",
        )
    return [replace(first, prompt=_text_prompt(prompt, body.truncate_prompt_tokens)) for prompt in body.prompt]


def tokenize_request(body: TokenizeBody, request_id: str) -> GenerationRequest:
    """Read a conversation that is to be tokenized.

    Raises:
        InvalidRequestError: a field cannot be used.
    """
    assert body.messages is not None
    if body.add_special_tokens:
        raise UnsupportedError(
            "add_special_tokens is true, but messages are put into a chat template, which writes its own; leave it out",
            field="add_special_tokens",
        )
    plan = plan_tools(body.tools, None)
    prompt = PromptSource(
        messages=template_messages(body.messages),
        template_variables=_checked_variables(body.chat_template_kwargs),
        continue_final_message=bool(body.continue_final_message),
        add_generation_prompt=body.add_generation_prompt is not False,
    )
    return GenerationRequest(request_id=request_id, prompt=prompt, tools=plan.tools, tool_use=plan.use)


def _request(body: GenerationFields, request_id: str, prompt: PromptSource, max_answers: int) -> GenerationRequest:
    return GenerationRequest(
        request_id=request_id,
        prompt=prompt,
        min_tokens=body.min_tokens or 0,
        sampling=_sampling(body),
        stop=tuple(text for text in body.stop or () if text),
        include_stop=bool(body.include_stop_str_in_output),
        stop_token_ids=tuple(body.stop_token_ids or ()),
        ignore_eos=bool(body.ignore_eos),
        num_sequences=_num_answers(body, max_answers),
        shape=answer_shape(body.response_format, body.structured_outputs, body.model_extra),
    )


def _sampling(body: GenerationFields) -> Sampling:
    top_k = max(0, body.top_k or 0)
    return Sampling(
        temperature=1.0 if body.temperature is None else body.temperature,
        # A share of 0 leaves the likeliest token, which engines take only as a count.
        top_p=body.top_p or 1.0,
        top_k=1 if body.top_p == 0 else top_k,
        min_p=body.min_p or 0.0,
        repetition_penalty=1.0 if body.repetition_penalty is None else body.repetition_penalty,
        presence_penalty=body.presence_penalty or 0.0,
        frequency_penalty=body.frequency_penalty or 0.0,
        seed=None if body.seed is None else body.seed % _SEEDS,
    )


def _num_answers(body: GenerationFields, max_answers: int) -> int:
    n = body.n or 1
    if n > max_answers:
        raise InvalidRequestError(f"n is {n}, at most {max_answers} are allowed (MAX_NUM_SEQUENCES)", field="n")
    if body.best_of is not None and body.best_of != n:
        raise UnsupportedError(
            f"best_of is {body.best_of} and n is {n}, but answers are not ranked here; leave best_of out",
            field="best_of",
        )
    return n


def _chat_prompt(body: ChatBody) -> PromptSource:
    if body.continue_final_message:
        if body.add_generation_prompt:
            raise InvalidRequestError(
                "continue_final_message and add_generation_prompt are both true; set one of them",
                field="continue_final_message",
            )
        if body.messages[-1].role != "assistant":
            raise InvalidRequestError(
                f"continue_final_message is true, but the last message is one of {body.messages[-1].role!r}; "
                "expected the assistant's",
                field="continue_final_message",
            )
    variables = _checked_variables(body.chat_template_kwargs)
    if body.reasoning_effort == "none":
        variables = {"enable_thinking": False, **variables}
    if body.documents is not None:
        variables = {"documents": body.documents, **variables}
    return PromptSource(
        messages=template_messages(body.messages),
        template_variables=variables,
        continue_final_message=bool(body.continue_final_message),
        add_generation_prompt=body.add_generation_prompt is not False,
        keep_last_tokens=body.truncate_prompt_tokens,
    )


def _text_prompt(prompt: Prompt, keep_last_tokens: int | None) -> PromptSource:
    if isinstance(prompt, str):
        return PromptSource(text=prompt, raw=True, keep_last_tokens=keep_last_tokens)
    return PromptSource(token_ids=prompt, keep_last_tokens=keep_last_tokens)


def _checked_variables(variables: Mapping[str, object] | None) -> dict[str, object]:
    taken = sorted(_RESERVED.intersection(variables or ()))
    if taken:
        raise InvalidRequestError(
            f"chat_template_kwargs has {taken[0]}, which is a field of the request itself; set it there",
            field="chat_template_kwargs",
        )
    return dict(variables or {})


def _checked(request: GenerationRequest, field: str, num_logprobs: int) -> GenerationRequest:
    if request.max_tokens is not None and request.min_tokens > request.max_tokens:
        raise InvalidRequestError(
            f"min_tokens is {request.min_tokens} and max_tokens {request.max_tokens}; expected no more than that",
            field="min_tokens",
        )
    check_top_logprobs(field, num_logprobs, request)
    return request
