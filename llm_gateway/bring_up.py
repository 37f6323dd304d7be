"""Walks the phases: wait for weights, verify, load, warm up, be ready; and the last three again when a worker dies.

`run` is the whole story. It ends only by being cancelled, or with a `StartUpRefusal` that ends the gateway.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Final

import structlog

from llm_gateway.errors import GatewayError, ModelUnloadableError, StartUpRefusal
from llm_gateway.generator import Generator
from llm_gateway.lifecycle import Lifecycle, Phase
from llm_gateway.models.catalog import CatalogEntry
from llm_gateway.models.engine_choice import engine_choices
from llm_gateway.models.figures import Figures
from llm_gateway.models.pool import LoadedModel, ModelPool
from llm_gateway.models.warm_up import warm_up
from llm_gateway.settings import Settings
from llm_gateway.weights import Weights
from llm_gateway.workers.watch import until_stuck

_log = structlog.get_logger()

_ON_DEMAND: Final = "MODEL_PRELOAD=false: the first request loads the model"
_LOAD_BYTES_PER_S: Final = 500e6
"""For health's estimate until a load has been measured: reading from the page cache, and compiling."""
_WARM_UP_EXPECTED_S: Final = 5.0
_MAX_DEATHS_IN_A_ROW: Final = 5
_LIVED_S: Final = 60.0
"""A worker that was READY for this long was no crash loop, and the count of deaths starts anew."""


class BringUp:
    """Brings one model to READY and keeps it there."""

    def __init__(self, settings: Settings, lifecycle: Lifecycle, pool: ModelPool, generator: Generator) -> None:
        self._settings = settings
        self._lifecycle = lifecycle
        self._pool = pool
        self._generator = generator
        self._weights = Weights(settings, lifecycle)
        self._load_took_s: float | None = None
        self._deaths_in_a_row = 0
        self._was_ready = False

    async def run(self) -> None:
        """Bring the model up, again after each death of its worker, until the gateway stops.

        Raises:
            StartUpRefusal: it cannot be brought up. Where models load on demand, the request is told and this goes on.
        """
        await asyncio.to_thread(engine_choices, self._settings)  # refuses now what no weights will make possible
        with _refusals():
            await self._weights.whole()
        while True:
            try:
                await self._until_loading_is_due()
                await self._serve()
            except StartUpRefusal as refusal:
                self._lifecycle.move_to(Phase.FAILED, str(refusal))
                await self._pool.unload(self._settings.model_name, str(refusal))
                if self._settings.model_preload:
                    raise

    async def _serve(self) -> None:
        """Load, warm up, and be READY until the worker is gone; return early where other weights were published."""
        try:
            with _refusals():
                entry = await self._weights.whole()
                if self._lifecycle.phase is not Phase.LOADING:
                    return  # others had to be checked first, and by now nobody may want them loaded
                model = await self._load(entry)
                figures = await self._warm_up(model)
        except StartUpRefusal as refusal:
            if not (self._was_ready and self._settings.model_preload):
                raise
            # What has loaded before is not what is wrong: a machine that runs out of memory may have some in a moment.
            await self._after_a_death(str(refusal), 0.0)
            return
        self._was_ready = True
        self._lifecycle.become_ready(figures)
        _log.info("ready", model=model.name, **_report(model, figures, self._load_took_s))
        await self._until_it_is_gone(model)

    async def _until_loading_is_due(self) -> None:
        if self._settings.model_preload:
            self._lifecycle.move_to(Phase.LOADING)
        elif self._lifecycle.phase in {Phase.VERIFYING, Phase.RECOVERING}:
            self._lifecycle.move_to(Phase.ON_DEMAND, _ON_DEMAND)
        while self._lifecycle.phase is not Phase.LOADING:
            await self._lifecycle.wait_for_change()

    async def _load(self, entry: CatalogEntry) -> LoadedModel:
        self._lifecycle.expect(self._load_took_s or 1 + entry.weights_bytes / _LOAD_BYTES_PER_S)
        started = time.monotonic()
        model = await self._pool.load(entry)
        self._load_took_s = time.monotonic() - started
        self._lifecycle.engine = model.choice
        return model

    async def _warm_up(self, model: LoadedModel) -> Figures:
        self._lifecycle.move_to(Phase.WARMING_UP)
        self._lifecycle.expect(_WARM_UP_EXPECTED_S)
        with self._generator.places.gateways_own() as permit:
            warming = asyncio.create_task(
                warm_up(
                    lambda request, record: self._generator.generate(permit, request, record),
                    model,
                    self._settings.warmup_file,
                )
            )
            sticking = asyncio.create_task(until_stuck(model.worker.client, self._settings.engine_stall_s))
            try:
                await asyncio.wait({warming, sticking}, return_when=asyncio.FIRST_COMPLETED)
                if not warming.done():
                    raise ModelUnloadableError(f"the warm-up failed: {self._stuck()}")
                return warming.result()
            except GatewayError as error:
                raise ModelUnloadableError(f"the warm-up failed: {error}") from error
            finally:
                warming.cancel()
                sticking.cancel()
                await asyncio.wait({warming})  # it gives its permit's room back

    async def _until_it_is_gone(self, model: LoadedModel) -> None:
        """Return when the worker has died or was ended, because it was stuck or somebody asked for its memory.

        Raises:
            ModelUnloadableError: the worker died again and again without living for long.
        """
        ready_since = time.monotonic()
        dying, unloading = asyncio.create_task(model.worker.ended()), asyncio.create_task(self._until_unload_is_due())
        sticking = asyncio.create_task(until_stuck(model.worker.client, self._settings.engine_stall_s))
        try:
            await asyncio.wait({dying, unloading, sticking}, return_when=asyncio.FIRST_COMPLETED)
            if dying.done():
                await self._after_a_death(dying.result(), time.monotonic() - ready_since)
            elif sticking.done():
                await self._replace_what_is_stuck(model, dying, ready_since)
            elif self._lifecycle.phase is Phase.READY:  # a gateway that has begun to stop unloads at its end
                self._lifecycle.move_to(Phase.ON_DEMAND, _ON_DEMAND)
                await self._pool.unload(model.name, "the model is being unloaded")
        finally:
            dying.cancel()
            unloading.cancel()
            sticking.cancel()

    async def _replace_what_is_stuck(self, model: LoadedModel, dying: "asyncio.Task[str]", ready_since: float) -> None:
        stuck = self._stuck()
        _log.error("engine stuck", model=model.name, stall_s=self._settings.engine_stall_s)
        if self._lifecycle.phase is not Phase.DRAINING:
            self._lifecycle.move_to(Phase.FAILED, f"{stuck}; its process is being replaced")
        model.worker.kill(f"{stuck}, so its process was ended; the model is being loaded again, try again shortly")
        await dying
        await self._after_a_death(stuck, time.monotonic() - ready_since)

    def _stuck(self) -> str:
        return f"the engine finished no step for {self._settings.engine_stall_s:g} s while work waited (ENGINE_STALL_S)"

    @property
    def _loads_again_by_itself(self) -> bool:
        return self._settings.model_preload and self._lifecycle.phase is not Phase.FAILED

    async def _until_unload_is_due(self) -> None:
        wanted, places = self._generator.unload_wanted, self._generator.places
        while places.taken or not wanted.is_set():
            await wanted.wait()
            await places.until_empty()

    async def _after_a_death(self, how: str, lived_s: float) -> None:
        _log.error("worker died", how=how, model=self._settings.model_name, lived_s=round(lived_s, 1))
        if self._lifecycle.phase is not Phase.DRAINING:
            self._count_death(how, lived_s)  # first, since a model that is READY is there
        await self._pool.unload(self._settings.model_name, "the model's process ended; it is being loaded again")
        if self._lifecycle.phase is Phase.DRAINING:
            await self._lifecycle.wait_for_change()  # there is none any more: the gateway ends
        await asyncio.sleep(2 ** (self._deaths_in_a_row - 1) - 1)

    def _count_death(self, how: str, lived_s: float) -> None:
        self._deaths_in_a_row = 1 if lived_s > _LIVED_S else self._deaths_in_a_row + 1
        if self._deaths_in_a_row > _MAX_DEATHS_IN_A_ROW:
            raise ModelUnloadableError(f"{how}, {self._deaths_in_a_row} times in a row; see the log for each of them")
        # Of what was stuck it is known already that it failed; and a request may have asked for the model since then.
        if self._lifecycle.phase is Phase.READY or self._loads_again_by_itself:
            self._lifecycle.move_to(Phase.RECOVERING, f"{how}; its model is loaded again")


@contextmanager
def _refusals() -> Iterator[None]:
    """Have what the system denies told as everything else that keeps a model from being loaded."""
    try:
        yield
    except OSError as error:
        raise ModelUnloadableError(
            f"the model cannot be loaded, because the system refused something that it needs ({error}); "
            "see the permissions of the volume, and the limits of the container"
        ) from error


def _report(model: LoadedModel, figures: Figures, load_took_s: float | None) -> dict[str, object]:
    """The line that says what the profile really does on this machine."""
    plan = model.plan
    planned = {
        "kv_cache_tokens": plan.kv_cache_tokens,
        "planned_mib": {
            "weights": plan.weights_bytes >> 20,
            "kv_cache": plan.kv_cache_bytes >> 20,
            "overhead": plan.overhead_bytes >> 20,
            "available": plan.available_bytes >> 20,
        },
    }
    return {"load_s": round(load_took_s or 0, 2), **asdict(figures), **planned}
