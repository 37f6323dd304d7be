"""The shape that an answer is asked to have: OpenAI's `response_format`, and what vLLM and TGI clients send instead."""

import re
from collections.abc import Mapping

from llm_gateway.errors import InvalidRequestError, UnsupportedError
from llm_gateway.generation import AnswerShape, JsonAnswer, RegexAnswer
from llm_gateway.tool_calls.call_json import load_json


def answer_shape(
    response_format: Mapping[str, object] | None,
    structured_outputs: Mapping[str, object] | None,
    unlisted: Mapping[str, object] | None,
) -> AnswerShape | None:
    """Find the one shape that is asked for; older clients of vLLM put theirs into fields of their own.

    Raises:
        InvalidRequestError: there are several, or one cannot be read.
    """
    asked = [("response_format", _of_response_format(response_format))]
    asked.append(("structured_outputs", _of_structured_outputs("structured_outputs", structured_outputs or {})))
    guided = {key: value for key, value in (unlisted or {}).items() if key.startswith("guided_")}
    asked += [(key, _of_structured_outputs(key, {key.removeprefix("guided_"): value})) for key, value in guided.items()]
    shapes = [(field, shape) for field, shape in asked if shape is not None]
    if len(shapes) > 1:
        raise InvalidRequestError(
            f"{shapes[0][0]} and {shapes[1][0]} both say what the answer looks like; send one of them",
            field=shapes[1][0],
        )
    return shapes[0][1] if shapes else None


def _of_response_format(asked: Mapping[str, object] | None) -> AnswerShape | None:
    if not asked or asked.get("type") in (None, "text"):
        return None
    match asked["type"]:
        case "json_object" | "json":
            # huggingface_hub writes a schema as `value`, llama.cpp's clients as `schema`.
            return _json_answer("response_format", asked.get("value", asked.get("schema")))
        case "json_schema":
            described = asked.get("json_schema")
            if not isinstance(described, Mapping):
                raise InvalidRequestError(
                    "response_format has no json_schema, expected an object with name and schema",
                    field="response_format",
                )
            return _json_answer("response_format.json_schema", described.get("schema"))
        case "regex":
            return _regex_answer("response_format", asked.get("value"))
    raise InvalidRequestError(
        f"response_format.type is {asked['type']!r}, expected text, json_object or json_schema", field="response_format"
    )


def _of_structured_outputs(field: str, asked: Mapping[str, object]) -> AnswerShape | None:
    wanted = {key: value for key, value in asked.items() if value is not None and value is not False}
    shapes: list[AnswerShape] = []
    for key, value in wanted.items():
        match key:
            case "json":
                shapes.append(_json_answer(field, _read_schema(value)))
            case "json_object":
                shapes.append(JsonAnswer())
            case "regex":
                shapes.append(_regex_answer(field, value))
            case "choice":
                shapes.append(_choice(field, value))
            case "grammar" | "structural_tag":
                raise UnsupportedError(f"{field} has {key}, expected json, json_object, regex or choice", field=field)
    if len(shapes) > 1:
        raise InvalidRequestError(f"{field} has several shapes for one answer; send one of them", field=field)
    return shapes[0] if shapes else None


def _read_schema(schema: object) -> object:
    """Read a schema that came as JSON text; what is no JSON stays a text, which is no schema."""
    read = load_json(schema) if isinstance(schema, str) else schema
    return schema if read is None else read


def _json_answer(field: str, schema: object) -> JsonAnswer:
    if schema is None or schema is True:
        return JsonAnswer()
    if not isinstance(schema, Mapping):
        raise InvalidRequestError(f"{field} has a schema that is no JSON object", field=field)
    return JsonAnswer(schema)


def _regex_answer(field: str, pattern: object) -> RegexAnswer:
    if not isinstance(pattern, str) or not pattern:
        raise InvalidRequestError(f"{field} has no regular expression, expected a text", field=field)
    return RegexAnswer(pattern)


def _choice(field: str, choices: object) -> RegexAnswer:
    if not isinstance(choices, list) or not choices or not all(isinstance(one, str) and one for one in choices):
        raise InvalidRequestError(f"{field} has no choices, expected a list of texts", field=field)
    return RegexAnswer("|".join(re.escape(one) for one in choices))
