"""Grammars on the real engine: whatever the model would like to say, what it says parses, validates and ends."""

import datetime
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import jsonschema
import pytest
from pydantic import BaseModel, Field
from tokenizers import Tokenizer

from llm_gateway.engines.openvino_engine import OpenVinoEngine
from llm_gateway.generation import FinishReason, Sampling, SequenceRequest
from llm_gateway.grammar.json_schema import json_object_grammar, json_schema_grammar
from llm_gateway.grammar.regex import regex_grammar
from llm_gateway.models.catalog import find
from llm_gateway.prompt.tokenizer import PromptTokenizer
from llm_gateway.workers.protocol import EngineOptions
from model_store.layout import StoreLayout

SEEDS = range(6)
_TRIES = 5
VOCABULARY_TOKENS = 2048


class Station(BaseModel):
    name: str = Field(max_length=12)
    opened: datetime.date | None = None
    kind: Literal["bus", "rail"] = "bus"


class Route(BaseModel):
    """A model with what pydantic makes schemas of: references, recursion, unions, choices, lists and bounds."""

    number: int = Field(ge=1, le=99)
    price: float | None = Field(gt=0, lt=10)
    stations: list[Station] = Field(min_length=1, max_length=2)
    detour: "Route | None" = None
    code: str = Field(pattern=r"^[A-Z]{2}\d{2}$")


def schema_grammar(schema: dict[str, Any]) -> str:
    return json_schema_grammar(schema, vocabulary_tokens=VOCABULARY_TOKENS)


def pattern_grammar(pattern: str) -> str:
    return regex_grammar(pattern, vocabulary_tokens=VOCABULARY_TOKENS)


class Running:
    """The engine with the demo model, answering in text."""

    def __init__(self, store: Path) -> None:
        entry = find(StoreLayout(store), "demo", "none")
        assert entry is not None
        self.tokenizer = PromptTokenizer.load(entry.folder)
        self._reader = Tokenizer.from_file(str(entry.folder / "tokenizer.json"))
        self.engine = OpenVinoEngine(
            entry.folder,
            EngineOptions(
                num_threads=1,
                kv_cache_tokens=8192,
                kv_cache_precision="f16",
                inference_precision="f32",
                max_num_seqs=64,
                max_batched_tokens=256,
                prefix_caching=True,
            ),
        )

    def answers(
        self, grammars: Sequence[str | None], max_tokens: int = 400, first_seed: int = 0
    ) -> list[tuple[str, FinishReason | None]]:
        """Answer once under each grammar, all in one batch, at a temperature at which the model babbles."""
        for index, grammar in enumerate(grammars):
            self.engine.begin(self._request(index, grammar, max_tokens, first_seed + index))
        token_ids: list[list[int]] = [[] for _ in grammars]
        finish: list[FinishReason | None] = [None] * len(grammars)
        while self.engine.has_work():
            for chunk in self.engine.step():
                token_ids[chunk.sequence_id] += chunk.token_ids
                finish[chunk.sequence_id] = chunk.finish
        return [(self._reader.decode(ids), end) for ids, end in zip(token_ids, finish, strict=True)]

    def _request(self, index: int, grammar: str | None, max_tokens: int, seed: int) -> SequenceRequest:
        return SequenceRequest(
            sequence_id=index,
            prompt_token_ids=self.tokenizer.encode("Tell me about the port.", add_special_tokens=True),
            max_tokens=max_tokens,
            sampling=Sampling(temperature=1.5, seed=seed),
            stop_token_ids=sorted(self.tokenizer.eos_token_ids),
            grammar=grammar,
        )

    def finished(self, grammar: str, number: int = len(SEEDS)) -> list[str]:
        """Return the answers that ended by themselves; the model babbles, so it gets several tries at ending one."""
        for first_seed in range(0, _TRIES * number, number):
            said = self.answers([grammar] * number, first_seed=first_seed)
            found = [text for text, finish in said if finish is FinishReason.STOP]
            if found:
                return found
        raise AssertionError(f"none of {_TRIES * number} answers ended by itself")


@pytest.fixture(scope="module")
def running(demo_store: Path) -> Running:
    return Running(demo_store)


def test_a_pydantic_model_reads_every_answer_that_ended(running: Running) -> None:
    for text in running.finished(schema_grammar(Route.model_json_schema()), 12):
        Route.model_validate_json(text)


def test_any_object_parses(running: Running) -> None:
    assert all(isinstance(json.loads(text), dict) for text in running.finished(json_object_grammar()))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "boolean"},
        {"enum": ["one", 2, None, {"three": ["é", '\\"\n']}]},
        {"type": "integer", "minimum": -12, "exclusiveMaximum": 1205},
        {"type": "number", "minimum": -0.25, "maximum": 12.5},
        {"type": "string", "minLength": 5, "maxLength": 9},
        {"type": "string", "minLength": 30, "maxLength": 40},
        {"type": "string", "minLength": 1, "maxLength": 120},
        {"type": "string", "pattern": r"^[^,]{3,60}$"},
        {"type": "string", "pattern": r'^"[^a-z]{2,4}\\\d"$'},
        {"properties": {"a": {"type": "null"}, "b": {"type": "boolean"}, "c": {}}},
        {
            "prefixItems": [{"type": "integer"}, {"const": "x"}],
            "items": {"type": "boolean"},
            "minItems": 1,
            "maxItems": 4,
        },
        {"anyOf": [{"required": ["a"]}, {"required": ["b"]}], "properties": {"a": {"const": 1}, "b": {"const": 2}}},
        *({"type": "string", "format": name} for name in ("date", "time", "date-time", "duration")),
        *({"type": "string", "format": name} for name in ("ipv4", "ipv6", "uuid")),
    ],
    ids=lambda schema: str(schema.get("format", sorted(schema))),
)
def test_every_answer_that_ended_validates(running: Running, schema: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    for text in running.finished(schema_grammar(schema)):
        assert text == text.strip()
        validator.validate(json.loads(text))


@pytest.mark.parametrize("name", ["email", "hostname", "uri"])
def test_names_of_any_length_are_valid_or_the_beginning_of_what_is(running: Running, name: str) -> None:
    """Letters are not counted in these, so a model that babbles may not come to their end."""
    schema = {"type": "string", "format": name}
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    for text, finish in running.answers([schema_grammar(schema)] * len(SEEDS)):
        if finish is FinishReason.STOP:
            validator.validate(json.loads(text))
        else:
            assert re.fullmatch(r'"[\w+.@:/?&=%~-]+', text, re.ASCII), text


@pytest.mark.parametrize(
    "pattern",
    [
        r"[a-e ]{20,40}",
        r"(\w+ ?)+\.",
        r"([ab]{1,30}-){2}",
        r"yes|no",
        r"\d{3}-\d{4}",
        r"[^a-z\s]{3,6}é",
        r"(\w+ ){2,4}end\.",
        r'"[^"]{2,5}"\\',
    ],
)
def test_every_answer_that_ended_matches_its_expression(running: Running, pattern: str) -> None:
    for text in running.finished(pattern_grammar(pattern)):
        assert re.fullmatch(pattern, text), text


def test_a_complete_answer_ends_by_itself(running: Running) -> None:
    """Nothing but an end-of-turn token is left to pick, however hot the sampling."""
    assert running.answers([pattern_grammar("just this")] * 3) == [("just this", FinishReason.STOP)] * 3


def test_an_answer_that_is_cut_by_its_limit_is_the_beginning_of_one(running: Running) -> None:
    ((text, finish),) = running.answers([schema_grammar({"type": "string", "minLength": 300})], max_tokens=5)
    assert finish is FinishReason.LENGTH
    assert text.startswith('"')


def test_sequences_with_and_without_a_grammar_share_a_batch(running: Running) -> None:
    grammars = [None, pattern_grammar("[ab]{4}"), None, schema_grammar({"const": [1, 2]})]
    free, letters, _, numbers = running.answers(grammars, max_tokens=40)
    assert re.fullmatch("[ab]{4}", letters[0])
    assert json.loads(numbers[0]) == [1, 2]
    assert running.answers([None, None, None], max_tokens=40)[0] == free
