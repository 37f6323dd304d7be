"""TGI's `grammar`, whose value may be the text of a schema."""

import pytest

from llm_gateway.api.tgi.grammar import answer_shape
from llm_gateway.api.tgi.schema import Grammar
from llm_gateway.errors import InvalidRequestError
from llm_gateway.generation import JsonAnswer


def test_a_schema_may_come_as_its_text() -> None:
    assert answer_shape(Grammar(type="json", value='{"type": "null"}')) == JsonAnswer({"type": "null"})


@pytest.mark.parametrize("value", ["", "{", "7", "[" * 100_000, '{"a": ' * 5000, '{"a": "\\ud800"}', "9" * 5000, "\0"])
def test_a_text_that_is_no_schema_is_refused_in_one_sentence(value: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"^grammar is not valid: value [^\n]+$"):
        answer_shape(Grammar(type="json", value=value))
