"""Forced tool calls with the demo model, which was never taught any: hot sampling cannot lead it out of the grammar."""

import json
from pathlib import Path

import jsonschema
import pytest

from llm_gateway.engines.openvino_engine import OpenVinoEngine
from llm_gateway.generation import FinishReason, PromptSource, Sampling, SequenceRequest, Tool
from llm_gateway.models.catalog import find
from llm_gateway.prompt.chat_template import ChatTemplate
from llm_gateway.prompt.tokenizer import PromptTokenizer
from llm_gateway.stream.detokenizer import IncrementalDetokenizer
from llm_gateway.tool_calls.bare_json import BareJson
from llm_gateway.tool_calls.base import ToolFormat
from llm_gateway.tool_calls.hermes import Hermes
from llm_gateway.tool_calls.llama3 import Llama3
from llm_gateway.tool_calls.mistral import Mistral
from llm_gateway.workers.protocol import EngineOptions
from model_store.layout import StoreLayout

NUM_ANSWERS = 6


def _tool(name: str, parameters: dict[str, object]) -> Tool:
    return Tool(name, parameters, {"type": "function", "function": {"name": name, "parameters": parameters}})


TOOLS = (
    _tool(
        "set_port",
        {
            "type": "object",
            "properties": {
                "port": {"type": "integer", "minimum": 1, "maximum": 65535},
                "protocol": {"enum": ["tcp", "udp"]},
                "since": {"type": "string", "format": "date"},
            },
            "required": ["port"],
        },
    ),
    _tool("health", {"type": "object", "properties": {}}),
    _tool(
        "warm_up",
        {
            "type": "object",
            "properties": {"models": {"type": "array", "items": {"type": "string", "maxLength": 12}, "maxItems": 3}},
            "required": ["models"],
        },
    ),
)


@pytest.fixture(scope="module")
def folder(demo_store: Path) -> Path:
    entry = find(StoreLayout(demo_store), "demo", "none")
    assert entry is not None
    return entry.folder


@pytest.fixture(scope="module")
def engine(folder: Path) -> OpenVinoEngine:
    options = EngineOptions(
        num_threads=1,
        kv_cache_tokens=16384,
        kv_cache_precision="f16",
        inference_precision="f32",
        max_num_seqs=32,
        max_batched_tokens=512,
        prefix_caching=True,
    )
    return OpenVinoEngine(folder, options)


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> PromptTokenizer:
    return PromptTokenizer.load(folder)


@pytest.fixture(scope="module")
def prompt(folder: Path, tokenizer: PromptTokenizer) -> list[int]:
    template = ChatTemplate.load(folder)
    assert template is not None
    source = PromptSource(messages=({"role": "user", "content": "Set the port to 9000."},))
    messages = BareJson().shown_in(source, TOOLS).messages
    assert messages is not None
    return tokenizer.encode(template.render(messages), add_special_tokens=False)


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("tool_format", [BareJson(), Hermes(), Llama3(), Mistral()], ids=lambda each: each.name)
def test_a_forced_answer_parses_into_calls_that_their_schemas_allow(
    engine: OpenVinoEngine, tokenizer: PromptTokenizer, prompt: list[int], tool_format: ToolFormat, parallel: bool
) -> None:
    grammar = tool_format.grammar(TOOLS, parallel=parallel, vocabulary_tokens=tokenizer.vocabulary_size)
    for seed in range(NUM_ANSWERS):
        engine.begin(
            SequenceRequest(
                sequence_id=seed,
                prompt_token_ids=prompt,
                max_tokens=700,
                sampling=Sampling(temperature=1.5, seed=seed),
                stop_token_ids=sorted(tokenizer.eos_token_ids),
                grammar=grammar,
            )
        )
    schemas = {tool.name: tool.parameters for tool in TOOLS}
    detokenizers = [IncrementalDetokenizer(tokenizer.underlying) for _ in range(NUM_ANSWERS)]
    parsers = [tool_format.parser(TOOLS, forced=True) for _ in range(NUM_ANSWERS)]
    texts, calls = [""] * NUM_ANSWERS, [[] for _ in range(NUM_ANSWERS)]  # type: ignore[var-annotated]
    while engine.has_work():
        for chunk in engine.step():
            index = chunk.sequence_id
            text = detokenizers[index].push(chunk.token_ids)
            parsed = [parsers[index].push(text)]
            if chunk.finish is not None:
                assert chunk.finish is FinishReason.STOP
                parsed += [parsers[index].push(detokenizers[index].flush()), parsers[index].flush()]
            texts[index] += "".join(each.text for each in parsed)
            calls[index] += [call for each in parsed for call in each.calls]
    assert texts == [""] * NUM_ANSWERS
    assert all(len(each) == 1 or (parallel and each) for each in calls)
    for call in (call for each in calls for call in each):
        jsonschema.validate(json.loads(call.arguments), schemas[call.name])
