"""Between the native dialect and the words of generation, in both directions."""

from collections.abc import Sequence

from llm_gateway.api.collect import WholeAnswer
from llm_gateway.api.native.schema import (
    GenerateAnswer,
    GenerateBody,
    GenerationKeys,
    TimingsBody,
    UsageBody,
)
from llm_gateway.generation import GenerationRequest, PromptSource, Sampling
from llm_gateway.telemetry.request_record import RequestRecord


def to_generation(body: GenerateBody, request_id: str) -> GenerationRequest:
    """Read a body."""
    keys = _merged(body)
    return GenerationRequest(
        request_id=request_id,
        prompt=PromptSource(
            text=body.prompt,
            messages=tuple(message.model_dump() for message in body.messages) if body.messages else None,
            raw=body.raw,
        ),
        max_tokens=keys.max_tokens or keys.max_new_tokens or keys.max_length,
        sampling=_sampling(keys),
        stop=tuple(text for text in keys.stop or () if text),
        num_sequences=keys.num_sequences or 1,
    )


def to_answer(answers: Sequence[WholeAnswer], record: RequestRecord, model: str) -> GenerateAnswer:
    """Write an answer that is whole."""
    usage, timings = record.usage, record.timings
    return GenerateAnswer(
        output=answers[0].text,
        all_outputs=[answer.text for answer in answers],
        text=answers[0].text,
        model=model,
        finish_reason=answers[0].finish,
        usage=UsageBody(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            total_tokens=usage.prompt_tokens + usage.completion_tokens,
        ),
        timings=TimingsBody(
            queue_ms=_milliseconds(timings.queue_s) or 0,
            first_token_ms=_milliseconds(timings.first_token_s),
            total_ms=_milliseconds(timings.total_s) or 0,
            tokens_per_s=record.decoded_tokens_per_s(len(answers)),
        ),
    )


def _merged(body: GenerateBody) -> GenerationKeys:
    if body.config is None:
        return body
    return body.model_copy(update=body.config.model_dump(exclude_none=True))


def _sampling(keys: GenerationKeys) -> Sampling:
    wants_sampling = any(value is not None for value in (keys.temperature, keys.top_k, keys.top_p))
    samples = wants_sampling if keys.do_sample is None else keys.do_sample
    temperature = 1.0 if keys.temperature is None else keys.temperature
    return Sampling(
        temperature=temperature if samples else 0,
        top_k=keys.top_k or 0,
        top_p=1.0 if keys.top_p is None else keys.top_p,
        repetition_penalty=keys.repetition_penalty or 1.0,
        seed=keys.seed,
    )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 1)
