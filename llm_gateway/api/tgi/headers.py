"""The headers in which TGI tells how long an answer took."""

from llm_gateway.telemetry.request_record import RequestRecord


def answer_headers(record: RequestRecord, inputs: str, generated_tokens: int, device: str) -> dict[str, str]:
    """Describe an answer that is whole: seconds in `x-compute-time`, whole milliseconds in all others with a time."""
    timings = record.timings
    total_s, begun_s, admitted_s = timings.total_s or 0.0, timings.queue_s or 0.0, timings.admitted_s or 0.0
    inference_s = total_s - begun_s
    return {
        **stream_headers(inputs, device),
        "x-compute-time": f"{total_s:.6f}",
        "x-total-time": _milliseconds(total_s),
        "x-validation-time": _milliseconds(begun_s - admitted_s),
        "x-queue-time": _milliseconds(admitted_s),
        "x-inference-time": _milliseconds(inference_s),
        "x-time-per-token": _milliseconds(inference_s / max(1, generated_tokens)),
        "x-prompt-tokens": str(record.usage.prompt_tokens),
        "x-generated-tokens": str(generated_tokens),
    }


def stream_headers(inputs: str, device: str) -> dict[str, str]:
    """Describe an answer that is on its way."""
    return {"x-compute-type": device, "x-compute-characters": str(len(inputs))}


def _milliseconds(seconds: float) -> str:
    return str(int(1000 * seconds))
