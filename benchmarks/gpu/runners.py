"""The two contenders that compute in this environment: the engine through its contract, and plain `generate`.

Each is built inside a process of its own (in_process.py); both answer greedily and to the last token.
"""

import time
from collections.abc import Sequence
from typing import Protocol

from benchmarks.gpu.workload import Answered, Setup
from benchmarks.prompts import Prompt
from llm_gateway.engines.choose import build_engine
from llm_gateway.generation import FinishReason, Sampling, SequenceRequest
from llm_gateway.workers.protocol import EngineOptions

MAX_BATCHED_TOKENS = 2048
"""The profile's, as in profiles/gpu_accelerated.env."""


class Runner(Protocol):
    """A loaded model that answers batches of prompts."""

    def answer(self, prompts: Sequence[Prompt], output_tokens: int) -> Answered:
        """Answer all prompts with exactly so many tokens each."""


class EngineRunner:
    """The transformers engine, with the numbers of the profile `gpu_accelerated`."""

    def __init__(self, setup: Setup) -> None:
        options = EngineOptions(
            num_threads=setup.num_threads,
            kv_cache_tokens=setup.kv_cache_tokens,
            kv_cache_precision="bf16",
            inference_precision="bf16",
            max_num_seqs=setup.max_streams,
            max_batched_tokens=MAX_BATCHED_TOKENS,
            prefix_caching=True,
            context_tokens=setup.kv_cache_tokens // setup.max_streams,
            device=setup.device,
            quantization=setup.quantization,
        )
        self._engine = build_engine("transformers", setup.folder, options)

    def answer(self, prompts: Sequence[Prompt], output_tokens: int) -> Answered:
        start = time.perf_counter()
        for number, prompt in enumerate(prompts):
            self._engine.begin(_request(number, prompt, output_tokens))
        produced, first_s, whole = 0, None, 0
        while self._engine.has_work():
            for chunk in self._engine.step():
                produced += len(chunk.token_ids)
                whole += chunk.finish is FinishReason.LENGTH
                if first_s is None and chunk.token_ids:
                    first_s = time.perf_counter() - start
        seconds = time.perf_counter() - start
        if first_s is None or whole != len(prompts):
            raise RuntimeError(f"{whole} of {len(prompts)} sequences ran to their limit, expected all")
        return Answered(seconds, produced, first_s)


def _request(number: int, prompt: Prompt, output_tokens: int) -> SequenceRequest:
    return SequenceRequest(
        sequence_id=number,
        prompt_token_ids=prompt.token_ids,
        max_tokens=output_tokens,
        sampling=Sampling(temperature=0),
        stop_token_ids=[],
    )


class GenerateRunner:
    """`model.generate` on one batch, as the library's documentation shows it."""

    def __init__(self, setup: Setup) -> None:
        import torch
        from transformers import AutoModelForCausalLM, BitsAndBytesConfig

        quantizations = {
            "bfloat16": None,
            "int8": BitsAndBytesConfig(load_in_8bit=True),
            "nf4": BitsAndBytesConfig(
                load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
            ),
        }
        torch.set_num_threads(setup.num_threads)
        self._model = AutoModelForCausalLM.from_pretrained(
            setup.folder,
            dtype=torch.bfloat16,
            device_map={"": setup.device},
            quantization_config=quantizations[setup.precision],
            local_files_only=True,
        ).eval()
        self._model.generation_config.eos_token_id = None

    def answer(self, prompts: Sequence[Prompt], output_tokens: int) -> Answered:
        """Answer; a run of one token says when a single prompt's first is there, since `generate` does not."""
        first_s = self._timed(prompts, 1)[0] if len(prompts) == 1 else None
        seconds, produced = self._timed(prompts, output_tokens)
        return Answered(seconds, produced, first_s)

    def _timed(self, prompts: Sequence[Prompt], output_tokens: int) -> tuple[float, int]:
        import torch

        start = time.perf_counter()
        ids = torch.tensor([prompt.token_ids for prompt in prompts], device=self._model.device)
        whole = self._model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=output_tokens, do_sample=False
        ).tolist()  # waits for the GPU
        seconds = time.perf_counter() - start
        return seconds, sum(len(answer) - len(prompt.token_ids) for answer, prompt in zip(whole, prompts, strict=True))


RUNNERS: dict[str, type[EngineRunner] | type[GenerateRunner]] = {"engine": EngineRunner, "generate": GenerateRunner}
