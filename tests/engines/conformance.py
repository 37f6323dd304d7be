"""What the suite needs to ask any engine the same things: a built engine, its prompts, and what transformers says.

An engine runs here wherever its library is installed; the libraries' pins disagree, so each has an environment.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from llm_gateway.engines.base import Engine
from llm_gateway.engines.choose import build_engine
from llm_gateway.generation import FinishReason, Sampling, SequenceRequest, TokenChunk
from llm_gateway.models.catalog import find
from llm_gateway.prompt.chat_template import ChatTemplate
from llm_gateway.prompt.tokenizer import PromptTokenizer
from llm_gateway.workers.protocol import EngineOptions
from model_store.layout import StoreLayout

PUBLISHED = Path(__file__).parents[2] / "demo_model" / "weights"
QUESTIONS = (
    "How do I change the port?",
    "Which profiles are there?",
    "What does the health check tell me?",
    "How do I serve my own model?",
    "Count from 1 to 10.",
    "What is the warm-up?",
)
GREEDY = Sampling(temperature=0)
CONTEXT_TOKENS = 512
LIBRARIES = {"openvino": "openvino_genai", "transformers": "bitsandbytes", "vllm": "vllm"}
"""What shows that an environment is an engine's: bitsandbytes is installed where transformers is new enough."""


def is_installed(engine: str) -> bool:
    return find_spec(LIBRARIES[engine]) is not None


def folder_for(engine: str, store: Path | None) -> Path:
    """The demo model in the form that the engine loads, at full precision."""
    if engine != "openvino":
        return PUBLISHED
    assert store is not None
    entry = find(StoreLayout(store), "demo", "none")
    assert entry is not None
    return entry.folder


def build(engine: str, folder: Path, **changes: object) -> Engine:
    """Build an engine that computes as exactly as it can, on one thread."""
    options: dict[str, object] = {
        "num_threads": 1,
        "kv_cache_tokens": 8192,
        "kv_cache_precision": "f32" if engine != "openvino" else "f16",
        "inference_precision": "f32",
        "max_num_seqs": 64,
        "max_batched_tokens": 256,
        "prefix_caching": True,
        "context_tokens": CONTEXT_TOKENS,
    }
    return build_engine(engine, folder, EngineOptions(**(options | changes)))  # type: ignore[arg-type]


def demo_prompts() -> tuple[PromptTokenizer, list[list[int]]]:
    """The questions as the demo model reads them."""
    tokenizer, template = PromptTokenizer.load(PUBLISHED), ChatTemplate.load(PUBLISHED)
    assert template is not None
    texts = [template.render([{"role": "user", "content": question}]) for question in QUESTIONS]
    return tokenizer, [tokenizer.encode(text, add_special_tokens=False) for text in texts]


def request(
    sequence_id: int, prompt: Sequence[int], tokenizer: PromptTokenizer, /, **changes: object
) -> SequenceRequest:
    fields: dict[str, object] = {
        "sequence_id": sequence_id,
        "prompt_token_ids": list(prompt),
        "max_tokens": 80,
        "sampling": GREEDY,
        "stop_token_ids": sorted(tokenizer.eos_token_ids),
    }
    return SequenceRequest(**(fields | changes))  # type: ignore[arg-type]


@dataclass(slots=True)
class Produced:
    """All that one sequence came to."""

    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish: FinishReason | None = None
    stop_token_id: int | None = None

    def add(self, chunk: TokenChunk) -> None:
        assert self.finish is None, "a sequence ends once"
        self.token_ids += chunk.token_ids
        self.logprobs += chunk.logprobs or []
        self.finish, self.stop_token_id = chunk.finish, chunk.stop_token_id


def run(engine: Engine, requests: Sequence[SequenceRequest]) -> list[Produced]:
    """Begin them all, step until nothing is left, and return what each produced, in their order."""
    for one in requests:
        engine.begin(one)
    produced = {one.sequence_id: Produced() for one in requests}
    while engine.has_work():
        for chunk in engine.step():
            produced[chunk.sequence_id].add(chunk)
    return [produced[one.sequence_id] for one in requests]


def reference_answers(prompts: Sequence[Sequence[int]], eos: Sequence[int]) -> list[list[int]]:
    """What plain `generate` of transformers answers, greedily and in 32 bits, without the end of turn."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(PUBLISHED, dtype=torch.float32).eval()
    answers = []
    for prompt in prompts:
        ids = torch.tensor([list(prompt)])
        whole = model.generate(ids, max_new_tokens=80, do_sample=False, eos_token_id=list(eos), pad_token_id=0)
        answer = whole[0, len(prompt) :].tolist()
        answers.append(answer[:-1] if answer and answer[-1] in eos else answer)
    return answers
