"""What follows when a worker dies: a pause that grows, a limit, and a fresh start for one that has lived."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from llm_gateway.bring_up import BringUp
from llm_gateway.errors import EngineRefusal, MemoryPlanRefusal, ModelUnloadableError
from llm_gateway.generator import Generator
from llm_gateway.lifecycle import Lifecycle, Phase
from llm_gateway.models.pool import ModelPool
from llm_gateway.settings import Settings

HOW = "the worker was ended by signal 9"
AT_ONCE_S, A_WHILE_S = 1.0, 61.0


@dataclass
class Deaths:
    """The walk through deaths of one worker after another, and the pauses that were asked for."""

    walk: BringUp
    lifecycle: Lifecycle
    pauses_s: list[float]

    async def die(self, lived_s: float) -> None:
        for phase in (Phase.LOADING, Phase.WARMING_UP, Phase.READY):
            self.lifecycle.move_to(phase)
        await self.walk._after_a_death(HOW, lived_s)


class _Pool:
    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    async def unload(self, name: str, farewell: str) -> None:
        assert (name, "loaded again" in farewell) == ("demo", True)
        assert self._lifecycle.phase is not Phase.READY, "whoever asks now is told that there is no such model"


class _NothingLoads:
    """A pool on a machine that has something against it."""

    def __init__(self, against_it: Exception) -> None:
        self._against_it = against_it

    async def load(self, _entry: object) -> None:
        raise self._against_it

    async def unload(self, name: str, farewell: str) -> None:
        """There is nothing to unload."""


def _where_nothing_loads(store: Path, against_it: Exception, *, preload: bool = True) -> tuple[BringUp, Lifecycle]:
    settings, lifecycle = Settings(model_store=store, engine="fake", model_preload=preload), Lifecycle()
    pool, generator = cast("ModelPool", _NothingLoads(against_it)), cast("Generator", SimpleNamespace())
    return BringUp(settings, lifecycle, pool, generator), lifecycle


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> Deaths:
    pauses_s: list[float] = []

    async def pause(seconds: float) -> None:
        pauses_s.append(seconds)

    lifecycle = Lifecycle()
    lifecycle.move_to(Phase.VERIFYING)
    generator = cast("Generator", SimpleNamespace())
    walk = BringUp(Settings(), lifecycle, cast("ModelPool", _Pool(lifecycle)), generator)
    monkeypatch.setattr("llm_gateway.bring_up.asyncio.sleep", pause)
    return Deaths(walk, lifecycle, pauses_s)


async def test_the_pause_before_a_model_is_loaded_again_doubles_and_the_sixth_death_is_the_last(deaths: Deaths) -> None:
    for _ in range(5):
        await deaths.die(AT_ONCE_S)
        assert deaths.lifecycle.phase is Phase.RECOVERING
    with pytest.raises(ModelUnloadableError, match="signal 9, 6 times in a row"):
        await deaths.die(AT_ONCE_S)
    assert deaths.pauses_s == [0, 1, 3, 7, 15]


async def test_a_worker_that_has_lived_for_a_while_is_no_crash_loop(deaths: Deaths) -> None:
    for lived_s in (*[AT_ONCE_S] * 5, A_WHILE_S, *[AT_ONCE_S] * 4):
        await deaths.die(lived_s)
    assert deaths.pauses_s == [0, 1, 3, 7, 15, 0, 1, 3, 7, 15]


AGAINST_IT = (
    EngineRefusal("no GPU can be used: nvidia-smi has not answered"),
    MemoryPlanRefusal("it needs more than there is"),
    ModelUnloadableError("the engine could not read it"),
    OSError(24, "Too many open files"),
)


@pytest.mark.parametrize("against_it", AGAINST_IT, ids=lambda error: type(error).__name__)
async def test_whatever_keeps_a_model_that_was_ready_from_being_loaded_again_is_one_more_death(
    demo_store: Path, against_it: Exception
) -> None:
    walk, lifecycle = _where_nothing_loads(demo_store, against_it)
    walk._was_ready = True
    await walk._weights.whole()
    lifecycle.move_to(Phase.LOADING)
    await walk._serve()
    assert lifecycle.phase is Phase.RECOVERING
    assert str(against_it) in lifecycle.detail


@pytest.mark.parametrize("against_it", AGAINST_IT, ids=lambda error: type(error).__name__)
async def test_where_models_load_on_demand_whatever_is_against_it_is_told_and_tried_again(
    demo_store: Path, against_it: Exception
) -> None:
    walk, lifecycle = _where_nothing_loads(demo_store, against_it, preload=False)
    walking = asyncio.ensure_future(walk.run())
    await _until(lifecycle, Phase.ON_DEMAND)
    for _ in range(2):
        lifecycle.move_to(Phase.LOADING)
        await _until(lifecycle, Phase.FAILED)
        assert str(against_it) in lifecycle.detail
    assert not walking.done()
    walking.cancel()
    await asyncio.wait({walking})


async def _until(lifecycle: Lifecycle, phase: Phase) -> None:
    async with asyncio.timeout(30):
        while lifecycle.phase is not phase:
            await lifecycle.wait_for_change()
