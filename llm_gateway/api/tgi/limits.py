"""What TGI accepts, refused in its own words: clients match these sentences (TGI, router/src/validation.rs)."""

from typing import Final

from llm_gateway.api.tgi.schema import GenerateParameters
from llm_gateway.errors import InvalidRequestError, UnsupportedError

MAX_STOP_SEQUENCES: Final = 4
_MAX_FREQUENCY_PENALTY: Final = 2.0


def check(inputs: str, how: GenerateParameters, *, max_best_of: int, streams: bool) -> None:
    """Refuse what TGI refuses, and what it can and this engine cannot.

    Raises:
        InvalidRequestError: a parameter cannot be used.
        UnsupportedError: it can be, by TGI alone.
    """
    if not inputs:
        raise InvalidRequestError("`inputs` cannot be empty", field="inputs")
    _check_sampling(how)
    _check_length(how)
    _check_best_of(how, max_best_of, streams)
    if how.decoder_input_details and streams:
        raise _invalid("decoder_input_details", "== true is not supported when streaming tokens")
    _check_support(how)


def check_truncate(truncate: int, context_tokens: int) -> None:
    """Refuse to keep nothing of a prompt, or more than leaves room for a token of the answer.

    Raises:
        InvalidRequestError: it is one of these.
    """
    longest = context_tokens - 1
    if not 0 < truncate <= longest:
        raise _invalid("truncate", f"must be strictly positive and less than {longest}. Given: {truncate}")


def samples(how: GenerateParameters) -> bool:
    """Whether tokens are drawn; else the likeliest is taken. A temperature of 1 alone does not ask for it.

    Source: TGI, server/text_generation_server/utils/tokens.py.
    """
    return bool(how.do_sample or how.top_k or how.top_p) or how.temperature not in {None, 1.0}


def _check_sampling(how: GenerateParameters) -> None:
    for name in ("temperature", "repetition_penalty", "top_k"):
        value = getattr(how, name)
        if value is not None and value <= 0:
            raise _invalid(name, "must be strictly positive")
    if how.frequency_penalty is not None and abs(how.frequency_penalty) > _MAX_FREQUENCY_PENALTY:
        raise _invalid("frequency_penalty", "must be >= -2.0 and <= 2.0")
    if how.top_p is not None and not 0 < how.top_p < 1:
        raise _invalid("top_p", "must be > 0.0 and < 1.0")
    if how.typical_p is not None and not 0 < how.typical_p <= 1:
        raise _invalid("typical_p", "must be > 0.0 and < 1.0")


def _check_length(how: GenerateParameters) -> None:
    if how.max_new_tokens is not None and how.max_new_tokens <= 0:
        raise _invalid("max_new_tokens", "must be strictly positive")
    if how.stop is not None and len(how.stop) > MAX_STOP_SEQUENCES:
        raise _invalid("stop", f"supports up to {MAX_STOP_SEQUENCES} stop sequences. Given: {len(how.stop)}")


def _check_best_of(how: GenerateParameters, max_best_of: int, streams: bool) -> None:
    if how.best_of in {None, 1}:
        return
    if streams:
        raise _invalid("best_of", "!= 1 is not supported when streaming tokens")
    if not 0 < how.best_of <= max_best_of:
        raise _invalid("best_of", f"must be > 0 and <= {max_best_of}. Given: {how.best_of}")
    if not samples(how):
        raise InvalidRequestError("you must use sampling when `best_of` is > 1", field="parameters.best_of")
    if how.seed is not None:
        raise _invalid("seed", "must not be set when `best_of` > 1")


def _check_support(how: GenerateParameters) -> None:
    if how.typical_p not in {None, 1.0}:
        raise _unsupported("typical_p", "this engine has no typical sampling; use `top_p`")
    if how.decoder_input_details:
        raise _unsupported("decoder_input_details", "this engine gives no probabilities of the prompt's tokens")
    if how.top_n_tokens:
        raise _unsupported("top_n_tokens", "this engine gives the probability of the chosen token alone; use `details`")
    if how.watermark:
        raise _unsupported("watermark", "this engine has no watermarks")
    if how.adapter_id:
        raise _unsupported("adapter_id", f"there is no adapter {how.adapter_id!r}, this gateway serves one model as is")


def _invalid(name: str, reason: str) -> InvalidRequestError:
    return InvalidRequestError(f"`{name}` {reason}", field=f"parameters.{name}")


def _unsupported(name: str, reason: str) -> UnsupportedError:
    return UnsupportedError(f"`{name}` is not supported: {reason}", field=f"parameters.{name}")
