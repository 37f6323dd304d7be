"""JSON strings with a length, a pattern or a format."""

from typing import Any

from llm_gateway.grammar.ebnf import Rules, sequence
from llm_gateway.grammar.errors import GrammarError
from llm_gateway.grammar.formats import FORMATS
from llm_gateway.grammar.json_values import QUOTE, string
from llm_gateway.grammar.keywords import refuse
from llm_gateway.grammar.regex import add_regex
from llm_gateway.grammar.regex_parser import parse
from llm_gateway.grammar.regex_tree import lengths

MAX_COUNTED_CHARACTERS = 10_000


def write_string(rules: Rules, schema: dict[str, Any], place: str) -> str:
    """Write the strings that `schema` allows.

    A pattern is matched as a whole, which is less than JSON schema's search for it allows.

    Raises:
        GrammarError: there are none, or what is asked for cannot be enforced together.
    """
    minimum, maximum = schema.get("minLength", 0), schema.get("maxLength")
    _check_lengths(minimum, maximum, place)
    pattern, known_format = schema.get("pattern"), FORMATS.get(schema.get("format", ""))
    if pattern is not None and known_format is not None:
        refuse(place, f"has a pattern and the format {schema['format']}; write only one of the two")
    expression = known_format if pattern is None else pattern
    if expression is None:
        return _counted(rules, minimum, maximum, place)
    try:
        shortest, longest = lengths(parse(expression))
        content = add_regex(rules, expression, in_json_string=True)
    except GrammarError as error:
        raise GrammarError(f"in the schema at {place}, {error}") from error
    if shortest < minimum or (maximum is not None and (longest is None or longest > maximum)):
        found = f"{shortest} to {'any number of' if longest is None else longest}"
        name = "format" if pattern is None else "pattern"
        refuse(
            place,
            f"has a {name} that matches {found} characters, which minLength and maxLength cannot narrow; "
            f"write the lengths into a pattern",
        )
    return rules.add("string", sequence(QUOTE, content, QUOTE))


def _counted(rules: Rules, minimum: int, maximum: int | None, place: str) -> str:
    try:
        return string(rules, minimum, maximum)
    except GrammarError as error:
        bound = f"minLength {minimum}" if maximum is None else f"maxLength {maximum}"
        raise GrammarError(f"{bound} of the schema at {place} cannot be enforced: {error}") from error


def _check_lengths(minimum: int, maximum: int | None, place: str) -> None:
    if maximum is not None and minimum > maximum:
        refuse(place, f"has minLength {minimum} above maxLength {maximum}; correct one of them")
    if minimum > MAX_COUNTED_CHARACTERS or (maximum or 0) > MAX_COUNTED_CHARACTERS:
        refuse(place, f"counts more than {MAX_COUNTED_CHARACTERS} characters of a string; leave that bound out")
