"""The answer of one sequence, piece by piece: its text, and apart from it reasoning, tool calls and tokens."""

from llm_gateway.generation import AnswerPiece, FinishReason, TokenChunk, TokenDetail, ToolCall
from llm_gateway.stream.reasoning import ReasoningSplitter
from llm_gateway.stream.sequence_text import SequenceText
from llm_gateway.tool_calls.base import ToolCallParser


class SequenceAnswer:
    """Turns what an engine produces for one sequence into pieces of the answer."""

    def __init__(
        self,
        index: int,
        text: SequenceText,
        *,
        reasoning: ReasoningSplitter | None = None,
        calls: ToolCallParser | None = None,
        token_details: bool = False,
    ) -> None:
        self._index = index
        self._text = text
        self._reasoning = reasoning
        self._calls = calls
        self._token_details = token_details
        self._plain = reasoning is None and calls is None and not token_details

    @property
    def finish(self) -> FinishReason | None:
        return self._text.finish

    @property
    def num_tokens(self) -> int:
        return self._text.num_tokens

    def push(self, chunk: TokenChunk) -> AnswerPiece:
        """Take what the sequence gained and return what became ready, which may be nothing yet."""
        if self._plain:
            text = self._text.push(chunk.token_ids, chunk.finish)
            finish = self._text.finish
            return AnswerPiece(self._index, text, finish, stopped_by=self._stopped_by(chunk) if finish else None)
        tokens: tuple[TokenDetail, ...] = ()
        if self._token_details:
            text, tokens = self._push_one_by_one(chunk)
        else:
            text = self._text.push(chunk.token_ids, chunk.finish)
        return self._taken_apart(text, chunk, tokens)

    def _push_one_by_one(self, chunk: TokenChunk) -> tuple[str, tuple[TokenDetail, ...]]:
        tokens: list[TokenDetail] = []
        for token_id, logprob in zip(chunk.token_ids, chunk.logprobs or (), strict=True):
            if self._text.finish is not None:
                break
            special = self._text.is_special(token_id)
            tokens.append(TokenDetail(token_id, self._text.push([token_id], None), logprob, special))
        ended_before = self._text.finish is not None
        rest = "" if ended_before else self._text.push([], chunk.finish)
        text = "".join(token.text for token in tokens) + rest
        if chunk.stop_token_id is not None and not ended_before:
            tokens.append(TokenDetail(chunk.stop_token_id, rest, chunk.stop_logprob or 0.0, special=True))
        elif rest and tokens:
            # What was held back at the end belongs to the last token that there is.
            last = tokens[-1]
            tokens[-1] = TokenDetail(last.token_id, last.text + rest, last.logprob, last.special)
        return text, tuple(tokens)

    def _taken_apart(self, text: str, chunk: TokenChunk, tokens: tuple[TokenDetail, ...]) -> AnswerPiece:
        finish, reasoning = self._text.finish, ""
        if self._reasoning is not None:
            split = self._reasoning.push(text)
            reasoning, text = split.reasoning, split.text
            if finish is not None:
                rest = self._reasoning.flush()
                reasoning, text = reasoning + rest.reasoning, text + rest.text
        calls: tuple[ToolCall, ...] = ()
        if self._calls is not None:
            parsed = self._calls.push(text)
            text, calls = parsed.text, parsed.calls
            if finish is not None:
                last = self._calls.flush()
                text, calls = text + last.text, calls + last.calls
        stopped_by = self._stopped_by(chunk) if finish else None
        return AnswerPiece(self._index, text, finish, reasoning, calls, tokens, stopped_by)

    def _stopped_by(self, chunk: TokenChunk) -> str | int | None:
        return chunk.stop_token_id if self._text.stop_string is None else self._text.stop_string
