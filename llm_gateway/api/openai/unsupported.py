"""Fields that other servers honour and this one cannot: refused with a sentence, because they change the answer.

What changes nothing (`user`, `metadata`, `store`, `service_tier`, `prediction`, `priority`, ...) is ignored.
"""

from collections.abc import Mapping
from typing import Final

from llm_gateway.errors import UnsupportedError

_USE_TOOLS = "is deprecated; send tools and tool_choice instead"
_NOT_THIS_ENGINE = "cannot be honoured by this engine; leave it out"
_TEXT_ONLY = "cannot be honoured, this gateway answers with text; leave it out"

_REFUSED: Final[dict[str, str]] = {
    "allowed_token_ids": _NOT_THIS_ENGINE,
    "audio": _TEXT_ONLY,
    "bad_words": _NOT_THIS_ENGINE,
    "chat_template": "cannot be sent, the model's own template is used; send a prompt to /v1/completions instead",
    "function_call": _USE_TOOLS,
    "functions": _USE_TOOLS,
    "grammar": "cannot be honoured in its own language; use response_format",
    "guided_grammar": "cannot be honoured in its own language; use response_format",
    "length_penalty": _NOT_THIS_ENGINE,
    "logit_bias": _NOT_THIS_ENGINE,
    "logits_processors": _NOT_THIS_ENGINE,
    "moderation": "cannot be honoured, there is no moderation here; leave it out",
    "prompt_logprobs": "cannot be honoured, the engine reports tokens of the answer alone; leave it out",
    "return_token_ids": "cannot be honoured; POST /tokenize gives token ids",
    "return_tokens_as_token_ids": "cannot be honoured; POST /tokenize gives token ids",
    "structural_tag": "cannot be honoured; use response_format or tools",
    "suffix": "cannot be honoured, this gateway fills no gaps; leave it out",
    "use_beam_search": _NOT_THIS_ENGINE,
    "web_search_options": "cannot be honoured, there is no web search here; leave it out",
}
_NEUTRAL: Final[dict[str, object]] = {"length_penalty": 1, "function_call": "none"}
"""Values that ask for nothing, beside null, false and what is empty."""


def refuse_unsupported(unlisted: Mapping[str, object] | None, *, chat: bool) -> None:
    """Look through the fields that the schema does not list.

    Raises:
        UnsupportedError: one of them would change the answer.
    """
    for name, value in (unlisted or {}).items():
        if name in _REFUSED and not _asks_for_nothing(name, value):
            raise UnsupportedError(f"{name} {_REFUSED[name]}", field=name)
    _check_special_tokens(unlisted or {}, chat=chat)
    modalities = (unlisted or {}).get("modalities")
    if isinstance(modalities, list) and any(modality != "text" for modality in modalities):
        raise UnsupportedError(f"modalities {_TEXT_ONLY}", field="modalities")


def _check_special_tokens(unlisted: Mapping[str, object], *, chat: bool) -> None:
    if unlisted.get("skip_special_tokens") is False:
        raise UnsupportedError(
            "skip_special_tokens is false, special tokens have no text here; leave it out", field="skip_special_tokens"
        )
    usual = not chat
    asked = unlisted.get("add_special_tokens")
    if isinstance(asked, bool) and asked is not usual:
        help_ = "a chat template writes its own" if chat else "send token ids for a prompt without them"
        raise UnsupportedError(
            f"add_special_tokens is {str(asked).lower()}, it can only be {str(usual).lower()} here; {help_}",
            field="add_special_tokens",
        )
    if chat and unlisted.get("echo") is True:
        raise UnsupportedError("echo is for /v1/completions; leave it out", field="echo")


def _asks_for_nothing(name: str, value: object) -> bool:
    if value is None or value is False or (isinstance(value, str | list | dict) and not value):
        return True
    return name in _NEUTRAL and value == _NEUTRAL[name]
