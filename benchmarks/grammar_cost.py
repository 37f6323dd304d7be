"""Measure what grammars cost the engine with a vocabulary of 151,936 tokens: the first step, and each later one.

While one sequence's mask is made, every other sequence waits, so both count. The model is tiny, with random weights, so
nearly all of a step is the mask. Usage: python -m benchmarks.grammar_cost [--folder FOLDER] [--only TEXT]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.make_model import END_OF_TEXT_ID, END_OF_TURN_ID, VOCABULARY_TOKENS, make_model
from llm_gateway.engines.openvino_engine import OpenVinoEngine
from llm_gateway.generation import Sampling, SequenceRequest
from llm_gateway.grammar.errors import GrammarError
from llm_gateway.grammar.json_schema import json_object_grammar, json_schema_grammar
from llm_gateway.grammar.regex import regex_grammar
from llm_gateway.workers.protocol import EngineOptions

MAX_TOKENS = 40
_WARM_UPS = 2
"""The first grammar of all makes tables of the vocabulary, which later ones share."""

STRINGS: dict[str, dict[str, object]] = {
    "string": {},
    "minLength 1": {"minLength": 1},
    "minLength 20": {"minLength": 20},
    "maxLength 8": {"maxLength": 8},
    "maxLength 200": {"maxLength": 200},
    "maxLength 10000": {"maxLength": 10_000},
    "1 to 100 characters": {"minLength": 1, "maxLength": 100},
    "exactly 40 characters": {"minLength": 40, "maxLength": 40},
    **{name: {"format": name} for name in ("date-time", "duration", "email", "hostname", "ipv6", "uri", "uuid")},
    **{f"pattern {pattern}": {"pattern": pattern} for pattern in ("^[a-z]{1,100}$", "^.{1,500}$", "^.+$")},
}
PATTERNS = (
    r".*",
    r"[a-z]{1,100}",
    r"\d{1,1000}",
    r"\S+ \S+",
    r"\w+( \w+)*",
    r"(\w+ ){2,4}end",
    r"(\w{1,10} ){3,5}",
    r"([a-z]{10}-){3,5}",
    r"(\w+ ?)+",
    r"(\w+,? ?)+",
)
REFUSED = r".{1,99}-[^a]{1,99}-[^b]{1,99}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what grammars cost with a vocabulary of a real size.")
    parser.add_argument("--folder", type=Path, help="where the model is made, or was; by default it is made anew")
    parser.add_argument("--only", default="", help="measure only grammars whose name contains this")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        if not (folder / "engine" / "openvino_model.xml").exists():
            _make(folder)
        measure(folder / "engine", arguments.only)


def measure(folder: Path, only: str) -> None:
    engine = _engine(folder)
    for number in range(_WARM_UPS):
        _steps(engine, regex_grammar(f"warm {number}", vocabulary_tokens=VOCABULARY_TOKENS))
    print(f"{'grammar':32}{'first step':>14}{'later, median':>16}{'later, worst':>16}   in milliseconds")
    for name, make in _grammars().items():
        if only in name:
            try:
                first, *later = (1000 * seconds for seconds in _steps(engine, make()))
            except GrammarError as error:
                print(f"{name:32}refused: {error}")
            else:
                print(f"{name:32}{first:14.0f}{statistics.median(later):16.1f}{max(later):16.1f}")


def _grammars() -> dict[str, Callable[[], str]]:
    properties = {f"p{number}": {"type": ["string", "null"], "maxLength": 20 + number} for number in range(100)}
    items = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}
    schemas: dict[str, dict[str, object]] = {
        **{name: {"type": "string", **keywords} for name, keywords in STRINGS.items()},
        "100 properties with lengths": {"properties": properties},
        "1 to 1000 items": {"items": items, "minItems": 1, "maxItems": 1000},
    }
    return {
        "any object": json_object_grammar,
        **{name: _schema(schema) for name, schema in schemas.items()},
        **{pattern: _pattern(pattern) for pattern in (*PATTERNS, REFUSED)},
    }


def _schema(schema: dict[str, object]) -> Callable[[], str]:
    return lambda: json_schema_grammar(schema, vocabulary_tokens=VOCABULARY_TOKENS)


def _pattern(pattern: str) -> Callable[[], str]:
    return lambda: regex_grammar(pattern, vocabulary_tokens=VOCABULARY_TOKENS)


def _steps(engine: OpenVinoEngine, grammar: str) -> list[float]:
    """Answer once under `grammar`, and return the seconds that each step took."""
    engine.begin(
        SequenceRequest(
            sequence_id=0,
            prompt_token_ids=[1000, 2000, 3000],
            max_tokens=MAX_TOKENS,
            sampling=Sampling(temperature=1.0, seed=1),
            stop_token_ids=[END_OF_TEXT_ID, END_OF_TURN_ID],
            grammar=grammar,
        )
    )
    seconds = []
    while engine.has_work():
        start = time.perf_counter()
        engine.step()
        seconds.append(time.perf_counter() - start)
    return seconds


def _engine(folder: Path) -> OpenVinoEngine:
    options = EngineOptions(
        num_threads=1,
        kv_cache_tokens=1024,
        kv_cache_precision="f16",
        inference_precision="f32",
        max_num_seqs=1,
        max_batched_tokens=256,
        prefix_caching=False,
    )
    return OpenVinoEngine(folder, options)


def _make(folder: Path) -> None:
    from optimum.exporters.openvino import main_export  # takes seconds, and a model that is there needs none of it

    make_model(folder / "source", "tiny")
    main_export(
        str(folder / "source"),
        str(folder / "engine"),
        task="text-generation-with-past",
        library_name="transformers",
        convert_tokenizer=True,
        local_files_only=True,
    )


if __name__ == "__main__":
    main()
