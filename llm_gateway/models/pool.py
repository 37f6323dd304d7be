"""Loaded models: from a catalogue entry to a worker that holds it, and back to nothing.

Loading is plan -> process -> engine; the plan is made before a byte of the weights is read. Unloading ends the process,
which gives back all of its memory.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import structlog

import machine
from llm_gateway.errors import ModelUnloadableError, UnknownModelError
from llm_gateway.models.budget import MemoryPlan
from llm_gateway.models.catalog import CatalogEntry
from llm_gateway.models.engine_choice import EngineChoice, choice_for, engine_choices
from llm_gateway.models.planning import kv_cache_precision, plan_for
from llm_gateway.prompt.chat_template import ChatTemplate, ChatTemplateError
from llm_gateway.prompt.tokenizer import PromptTokenizer, PromptTokenizerError
from llm_gateway.settings import Settings
from llm_gateway.stream.reasoning import can_think
from llm_gateway.tool_calls.base import ToolFormat
from llm_gateway.tool_calls.detect import tool_format
from llm_gateway.workers.client import WorkDone
from llm_gateway.workers.process import WorkerProcess
from llm_gateway.workers.protocol import EngineOptions, Load, Loaded, LoadFailed
from machine import MachineFacts
from machine.memory import resident_bytes

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model in memory, with everything that a request needs of it."""

    name: str
    tokenizer: PromptTokenizer
    template: ChatTemplate | None
    tool_format: ToolFormat | None
    """How it writes tool calls; None where its chat template shows no tools."""
    thinks: bool
    """Whether it writes its reasoning between <think> and </think>."""
    worker: WorkerProcess
    context_tokens: int
    plan: MemoryPlan
    choice: EngineChoice
    facts: Loaded

    @property
    def kv_cache_tokens(self) -> int | None:
        """What the KV cache holds over all sequences; None where the engine sizes it by itself, from what is free."""
        return None if self.choice.engine == "vllm" and self.choice.device == "cuda" else self.plan.kv_cache_tokens

    def memory_bytes(self) -> int:
        """What the worker's process holds in RAM now."""
        return resident_bytes(self.worker.pid)


class ModelPool:
    """The models that are in memory, by name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loaded: dict[str, LoadedModel] = {}
        self.work_done = WorkDone()

    def get(self, name: str) -> LoadedModel:
        """Return a loaded model.

        Raises:
            UnknownModelError: no model of that name is in memory.
        """
        try:
            return self._loaded[name]
        except KeyError:
            raise UnknownModelError(f"no model named {name} is loaded here") from None

    async def load(self, entry: CatalogEntry) -> LoadedModel:
        """Plan its memory, start its worker, and wait until the engine has it.

        Raises:
            MemoryPlanRefusal: it does not fit.
            ModelUnloadableError: the tokenizer or the engine could not load it, or the worker's process ended over it.
        """
        settings, facts = self._settings, machine.look()
        # On a GPU the driver is asked, which can take seconds; the event loop must stay free to answer health checks.
        choice = choice_for(await asyncio.to_thread(engine_choices, settings), entry.family)
        _log.info("engine", engine=choice.engine, device=choice.device, because=choice.reason)
        plan = plan_for(entry, settings, facts, choice)
        options = engine_options(settings, plan, facts, choice)
        try:
            worker = await WorkerProcess.start(options.num_threads, choice.engine, self.work_done)
        except OSError as error:
            raise ModelUnloadableError(f"no process can be started for the model ({error}); see pids_limit") from error
        try:
            # The vocabulary is read here while the weights are read there.
            (tokenizer, template), loaded = await asyncio.gather(
                asyncio.to_thread(_read_prompt_files, entry.folder, settings),
                worker.client.load(_load_message(entry, choice, options)),
            )
        except asyncio.CancelledError:
            await worker.stop("the gateway is stopping")
            raise
        except ModelUnloadableError:
            await worker.stop("the model could not be loaded")
            raise
        if isinstance(loaded, LoadFailed):
            died = worker.client.disconnected.is_set()
            how = await worker.ended() if died else ""
            await worker.stop("the model could not be loaded")
            raise ModelUnloadableError(f"{loaded.message}: {how}" if died else loaded.message)
        model = LoadedModel(
            name=settings.model_name,
            tokenizer=tokenizer,
            template=template,
            tool_format=tool_format(template.source if template else None),
            thinks=can_think(template.source if template else None),
            worker=worker,
            context_tokens=plan.context_tokens,
            plan=plan,
            choice=choice,
            facts=loaded,
        )
        self._loaded[model.name] = model
        return model

    async def unload(self, name: str, farewell: str) -> None:
        """End a model's worker; requests that it still holds end with `farewell`; an unknown name is no error."""
        model = self._loaded.pop(name, None)
        if model is not None:
            await model.worker.stop(farewell)

    async def close(self, farewell: str) -> None:
        """Unload everything."""
        for name in list(self._loaded):
            await self.unload(name, farewell)


def engine_options(settings: Settings, plan: MemoryPlan, facts: MachineFacts, choice: EngineChoice) -> EngineOptions:
    """Bring settings, plan and machine together as the numbers that an engine is built with."""
    return EngineOptions(
        num_threads=settings.num_threads or facts.cpu.threads,
        kv_cache_tokens=plan.kv_cache_tokens,
        kv_cache_precision=kv_cache_precision(settings, facts, choice),
        inference_precision=settings.inference_precision,
        max_num_seqs=settings.max_num_seqs,
        max_batched_tokens=settings.max_batched_tokens,
        chunked_prefill=settings.chunked_prefill,
        prefix_caching=settings.prefix_caching,
        context_tokens=plan.context_tokens,
        device=choice.device,
        quantization=settings.quantization,
        gpu_memory_utilization=settings.gpu_memory_utilization,
        tensor_parallel_size=settings.tensor_parallel_size,
        fake=settings.fake_engine,
    )


def _load_message(entry: CatalogEntry, choice: EngineChoice, options: EngineOptions) -> Load:
    return Load(engine=choice.engine, model_folder=str(entry.folder), options=options)


def _read_prompt_files(folder: Path, settings: Settings) -> tuple[PromptTokenizer, ChatTemplate | None]:
    try:
        tokenizer = PromptTokenizer.load(folder, raw_control_tokens=settings.raw_control_tokens)
        return tokenizer, ChatTemplate.load(folder, tokenizer.names)
    except (PromptTokenizerError, ChatTemplateError) as error:
        raise ModelUnloadableError(str(error)) from error
