"""The text of one sequence: token ids in, text that may be sent out, and the sequence's one end.

It joins the detokenizer, which never splits a character, with the stop strings, which are never half sent.
"""

from collections.abc import Sequence

from llm_gateway.generation import FinishReason
from llm_gateway.stream.detokenizer import IncrementalDetokenizer
from llm_gateway.stream.stop_strings import StopStringFilter


class SequenceText:
    """Turns what an engine produces for one sequence into pieces of text."""

    def __init__(self, detokenizer: IncrementalDetokenizer, stop: Sequence[str], *, include_stop: bool = False) -> None:
        self._detokenizer = detokenizer
        self._stop = StopStringFilter(stop, include=include_stop)
        self.finish: FinishReason | None = None
        self.num_tokens = 0

    def is_special(self, token_id: int) -> bool:
        """Whether a token is one that has no text."""
        return self._detokenizer.is_special(token_id)

    @property
    def stop_string(self) -> str | None:
        """The stop string that ended the text, if one did."""
        return self._stop.matched

    def push(self, token_ids: Sequence[int], finish: FinishReason | None) -> str:
        """Take new tokens and return the text that became ready; afterwards `finish` says whether this was the end."""
        self.num_tokens += len(token_ids)
        text = self._stop.push(self._detokenizer.push(token_ids))
        if finish is not None:
            text += self._stop.push(self._detokenizer.flush()) + self._stop.flush()
        self.finish = finish if self._stop.matched is None else FinishReason.STOP
        return text
