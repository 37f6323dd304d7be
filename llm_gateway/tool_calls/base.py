"""The contract of a tool-call format: find calls in text that comes in pieces, and force calls by a grammar."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from llm_gateway.generation import Tool, ToolCall


@dataclass(frozen=True, slots=True)
class Parsed:
    """What became certain: text that is no part of a call, and calls that are whole."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()


class ToolCallParser(Protocol):
    """The parser of one answer.

    How the answer is cut into pieces makes no difference to what comes out. Blanks around a call are dropped, nothing
    else is lost: what looks like a call and cannot be read as one is given out as the text that it is.
    """

    def push(self, text: str) -> Parsed:
        """Take the next piece and return what is certain by now; no half of a marker is among it."""

    def flush(self) -> Parsed:
        """Return what was held back, at the end; a call that never became whole is text."""


class ToolFormat(Protocol):
    """How one family of models writes calls."""

    @property
    def name(self) -> str:
        """The family, such as `hermes`."""

    @property
    def marker_tokens(self) -> frozenset[str]:
        """Tokens that the detokenizer must show though they may be special: without them no call is seen."""

    def parser(self, tools: Sequence[Tool], *, forced: bool) -> ToolCallParser:
        """Make the parser of one answer; `forced` says that it is written under this format's `grammar`."""

    def grammar(self, tools: Sequence[Tool], *, parallel: bool, vocabulary_tokens: int) -> str:
        """Write the EBNF of an answer that is one call and nothing else, or with `parallel` one or several.

        `vocabulary_tokens` is the size of the model's vocabulary.

        Raises:
            GrammarError: the parameters of a function have no grammar.
        """
