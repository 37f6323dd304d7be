"""What the answer to one request must look like, and how it is taken apart again: grammar, tool calls, reasoning."""

from dataclasses import dataclass

from llm_gateway.admission.limits import check_stops
from llm_gateway.errors import InvalidRequestError, UnsupportedError
from llm_gateway.generation import GenerationRequest, JsonAnswer, Tool, ToolUse
from llm_gateway.grammar.errors import GrammarError
from llm_gateway.grammar.json_schema import json_object_grammar, json_schema_grammar
from llm_gateway.grammar.regex import regex_grammar
from llm_gateway.models.pool import LoadedModel
from llm_gateway.prompt.prepare import PreparedPrompt, prepare_prompt
from llm_gateway.prompt.tokenizer import PromptTokenizer
from llm_gateway.stream import reasoning
from llm_gateway.stream.detokenizer import IncrementalDetokenizer
from llm_gateway.stream.sequence_answer import SequenceAnswer
from llm_gateway.stream.sequence_text import SequenceText
from llm_gateway.tool_calls.bare_json import BareJson
from llm_gateway.tool_calls.base import ToolFormat


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A request that is ready to be sent: prompt and grammar for the engine, and the way back."""

    request: GenerationRequest
    prompt: PreparedPrompt
    grammar: str | None
    tool_format: ToolFormat | None
    """Set where the answer may hold tool calls."""
    splits_reasoning: bool
    tokenizer: PromptTokenizer

    def new_answer(self, index: int) -> SequenceAnswer:
        """Make the way back for one of the sequences."""
        request, calls, shown = self.request, None, frozenset[str]()
        if self.tool_format is not None and request.shape is None:
            calls = self.tool_format.parser(request.tools, forced=request.tool_use is ToolUse.REQUIRED)
            shown |= self.tool_format.marker_tokens
        if self.splits_reasoning:
            shown |= reasoning.MARKER_TOKENS
        return SequenceAnswer(
            index,
            SequenceText(
                IncrementalDetokenizer(self.tokenizer.underlying, self.tokenizer.ids_of(shown)),
                request.stop,
                include_stop=request.include_stop,
            ),
            reasoning=reasoning.ReasoningSplitter(inside=reasoning.begins_inside(self.prompt.text))
            if self.splits_reasoning
            else None,
            calls=calls,
            token_details=request.token_details,
        )


def prepare_request(request: GenerationRequest, model: LoadedModel) -> PreparedRequest:
    """Do all that computes before the engine does, in whatever thread this is called.

    Raises:
        InvalidRequestError: the prompt cannot be made, or the answer cannot be held to what is asked.
    """
    check_stops(request.stop)
    tool_format = _tool_format(request, model)
    source, definitions = request.prompt, tuple(tool.definition for tool in request.tools) if tool_format else ()
    if isinstance(tool_format, BareJson):
        source, definitions = tool_format.shown_in(source, request.tools), ()
    grammar = _grammar(request, tool_format, model.tokenizer)
    if grammar is not None and (request.ignore_eos or request.min_tokens):
        raise InvalidRequestError(
            "an answer in a given format ends where the format does, "
            "so neither ignore_eos nor min_tokens can be combined with it"
        )
    # What is held to a format has no room for reasoning before it.
    held = grammar is not None
    prompt = prepare_prompt(source, model.tokenizer, model.template, definitions, to_the_point=held and model.thinks)
    splits = request.split_reasoning and model.thinks and not held
    return PreparedRequest(request, prompt, grammar, tool_format, splits, model.tokenizer)


def _tool_format(request: GenerationRequest, model: LoadedModel) -> ToolFormat | None:
    if not request.tools or request.tool_use is ToolUse.NONE:
        return None
    if model.tool_format is not None:
        return model.tool_format
    if request.tool_use is ToolUse.REQUIRED:
        return BareJson()
    raise UnsupportedError(
        f"{model.name} does not support tools: its chat template has no place for them, so it cannot choose one; "
        "name a function or require one, or serve a model that was trained to call tools",
        field="tools",
    )


def _grammar(request: GenerationRequest, tool_format: ToolFormat | None, tokenizer: PromptTokenizer) -> str | None:
    vocabulary = tokenizer.vocabulary_size
    try:
        if tool_format is not None and request.tool_use is ToolUse.REQUIRED:
            parallel = request.parallel_tool_calls and request.forced_tool is None
            return tool_format.grammar(_callable(request), parallel=parallel, vocabulary_tokens=vocabulary)
        if request.shape is None:
            return None
        if isinstance(request.shape, JsonAnswer):
            schema = request.shape.schema
            return (
                json_object_grammar() if schema is None else json_schema_grammar(schema, vocabulary_tokens=vocabulary)
            )
        return regex_grammar(request.shape.pattern, vocabulary_tokens=vocabulary)
    except GrammarError as error:
        raise InvalidRequestError(f"the answer cannot be held to this format: {error}") from error


def _callable(request: GenerationRequest) -> tuple[Tool, ...]:
    """The functions that a forced call may name."""
    if request.forced_tool is None:
        return request.tools
    return tuple(tool for tool in request.tools if tool.name == request.forced_tool)
