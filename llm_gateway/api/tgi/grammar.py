"""TGI's `grammar`: the shape that an answer is held to."""

from collections.abc import Mapping

import msgspec

from llm_gateway.api.tgi.schema import Grammar
from llm_gateway.errors import InvalidRequestError
from llm_gateway.generation import AnswerShape, JsonAnswer, RegexAnswer


def answer_shape(grammar: Grammar) -> AnswerShape:
    """Read a grammar.

    Raises:
        InvalidRequestError: its value is not what its type needs.
    """
    match grammar.type:
        case "regex":
            if isinstance(grammar.value, str):
                return RegexAnswer(grammar.value)
            raise _invalid("value must be a regular expression")
        case "json_schema":
            if isinstance(grammar.value, Mapping) and isinstance(grammar.value.get("schema"), Mapping):
                return JsonAnswer(_object(grammar.value["schema"]))
            raise _invalid("value must be an object with a JSON schema under `schema`")
    if grammar.value is None:
        return JsonAnswer()
    return JsonAnswer(_object(grammar.value))


def _object(value: object) -> Mapping[str, object]:
    """A schema may also come as the text of one."""
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (ValueError, RecursionError) as error:  # half a surrogate pair, or nested too deep, among others
            raise _invalid(f"value is no JSON: {error}") from error
    if not isinstance(value, Mapping):
        raise _invalid("value must be a JSON schema, which is an object")
    return value


def _invalid(reason: str) -> InvalidRequestError:
    return InvalidRequestError(f"grammar is not valid: {reason}", field="parameters.grammar")
