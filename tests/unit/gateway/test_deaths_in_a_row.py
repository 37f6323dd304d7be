"""What follows when a worker dies: a pause that grows, a limit, and a fresh start for one that has lived."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import pytest

from llm_gateway.bring_up import BringUp
from llm_gateway.errors import ModelUnloadableError
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
    async def unload(self, name: str, farewell: str) -> None:
        assert (name, "loaded again" in farewell) == ("demo", True)


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> Deaths:
    pauses_s: list[float] = []

    async def pause(seconds: float) -> None:
        pauses_s.append(seconds)

    lifecycle = Lifecycle()
    lifecycle.move_to(Phase.VERIFYING)
    generator = cast("Generator", SimpleNamespace())
    walk = BringUp(Settings(), lifecycle, cast("ModelPool", _Pool()), generator)
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
