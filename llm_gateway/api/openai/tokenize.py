"""/tokenize and /detokenize, in vLLM's shape."""

import msgspec

from llm_gateway.api.openai.schema import DetokenizeBody, TokenizeBody
from llm_gateway.api.openai.translate import tokenize_request
from llm_gateway.tokenization import Tokenization


class TokenizeAnswer(msgspec.Struct):
    """The token ids of a prompt."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None
    """Each token as the vocabulary writes it, where `return_token_strs` asked for them."""


class DetokenizeAnswer(msgspec.Struct):
    """The text of token ids."""

    prompt: str


async def tokenize(body: TokenizeBody, tokenization: Tokenization, request_id: str) -> TokenizeAnswer:
    """Tokenize a text as it is, or a conversation as the model would be given it.

    Raises:
        GatewayError: no model is loaded, or there is no such prompt.
    """
    if body.prompt is not None:
        spans = await tokenization.spans(body.prompt, add_special_tokens=body.add_special_tokens is not False)
        ids = [span.token_id for span in spans]
    else:
        ids = await tokenization.prompt_ids(tokenize_request(body, request_id))
    tokens = await tokenization.tokens(ids) if body.return_token_strs else None
    return TokenizeAnswer(len(ids), await tokenization.context_tokens(), ids, tokens)


async def detokenize(body: DetokenizeBody, tokenization: Tokenization) -> DetokenizeAnswer:
    """Turn token ids back into text.

    Raises:
        GatewayError: no model is loaded, or it has no such token.
    """
    return DetokenizeAnswer(await tokenization.text(body.tokens))
