"""The grammar of an answer that is tool calls and nothing else, for every format that writes them as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from json import dumps

from llm_gateway.generation import Tool
from llm_gateway.grammar.ebnf import Rules, choice, literal, repeat, sequence
from llm_gateway.grammar.errors import GrammarError
from llm_gateway.grammar.json_schema import add_schema

MAX_PARALLEL_CALLS = 8
"""How many calls a forced answer may hold: a model that is free to go on may never stop by itself."""

_NAMING_KEYS = ("$ref", "allOf", "anyOf", "const", "enum", "oneOf", "properties")
"""Keywords that can name properties, or whole objects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForcedLayout:
    """The text around the calls of a forced answer. It has no special tokens: the engine bars them under a grammar."""

    opening: str = ""
    """Before each call."""
    closing: str = ""
    """After each call."""
    between: str
    before_all: str = ""
    after_all: str = ""
    arguments_key: str = "arguments"


def forced_calls_grammar(tools: Sequence[Tool], layout: ForcedLayout, *, parallel: bool, vocabulary_tokens: int) -> str:
    """Write the EBNF of an answer that is one call, or with `parallel` up to `MAX_PARALLEL_CALLS` of them.

    `vocabulary_tokens` is the size of the model's vocabulary.

    Raises:
        GrammarError: the parameters of a function have no grammar.
    """
    rules = Rules(vocabulary_tokens=vocabulary_tokens)
    call = rules.add("call", choice(_call(rules, tool, layout) for tool in tools))
    more = repeat(sequence(literal(layout.between), call), 0, MAX_PARALLEL_CALLS - 1 if parallel else 0)
    return rules.build(sequence(literal(layout.before_all), call, more, literal(layout.after_all)))


def _call(rules: Rules, tool: Tool, layout: ForcedLayout) -> str:
    before = f'{layout.opening}{{"name": {dumps(tool.name, ensure_ascii=False)}, "{layout.arguments_key}": '
    return sequence(literal(before), _arguments(rules, tool), literal("}" + layout.closing))


def _arguments(rules: Rules, tool: Tool) -> str:
    """An object by the tool's schema; parameters that name no property are those of a function without arguments."""
    schema = tool.parameters
    named = schema.get("type", "object")
    if named != "object" and not (isinstance(named, list) and "object" in named):
        raise GrammarError(f"the parameters of the function {tool.name} have the type {named}; make it object")
    schema = {**schema, "type": "object"}
    if not any(schema.get(key) for key in _NAMING_KEYS) and schema.get("additionalProperties") is None:
        schema["additionalProperties"] = False
    try:
        return add_schema(rules, schema)
    except GrammarError as error:
        raise GrammarError(f"the parameters of the function {tool.name}: {error}") from error
