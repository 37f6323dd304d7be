"""Where the model is on its way to READY: the phases, and the only transitions between them.

This is state and nothing else. `bring_up` walks it, health reads it, and neither computes anything for the other.

    waiting_for_weights <--> verifying --> loading --> warming_up --> ready --> recovering (its worker died)
                                 |          ^    ^                      |        |   |
                                 |          |    +----------------------|--------+   |
                                 |          | a request is here         | unloaded   |
                                 +-----> on_demand (MODEL_PRELOAD=false) <-----------+
    loading --> verifying, waiting_for_weights (other weights were published since, or these are gone)
    verifying --> verifying (the same, while they were checked)
    waiting_for_weights, verifying, loading, warming_up --> recovering (what was ready could not be loaded again)
    ready --> failed (its engine was stuck) --> loading
    any phase --> failed --> loading (on demand, at the next request)
    any phase --> draining, the last

READY is entered in one place, after a warm-up has produced tokens.
"""

import asyncio
import time
from enum import StrEnum
from typing import Final

import structlog

from llm_gateway.errors import MAX_RETRY_AFTER_S, NotReadyError
from llm_gateway.models.engine_choice import EngineChoice
from llm_gateway.models.figures import Figures

_log = structlog.get_logger()


class Phase(StrEnum):
    """One word for what the gateway is doing about its model."""

    WAITING_FOR_WEIGHTS = "waiting_for_weights"
    VERIFYING = "verifying"
    ON_DEMAND = "on_demand"
    """`MODEL_PRELOAD=false`: everything is in place, and the first request loads the model and waits for it."""
    LOADING = "loading"
    WARMING_UP = "warming_up"
    READY = "ready"
    RECOVERING = "recovering"
    """The worker died; its model is loaded again after a pause."""
    FAILED = "failed"
    DRAINING = "draining"


_AFTER: Final[dict[Phase, frozenset[Phase]]] = {
    Phase.WAITING_FOR_WEIGHTS: frozenset({Phase.VERIFYING, Phase.RECOVERING}),
    Phase.VERIFYING: frozenset(
        {Phase.WAITING_FOR_WEIGHTS, Phase.VERIFYING, Phase.ON_DEMAND, Phase.LOADING, Phase.RECOVERING}
    ),
    Phase.ON_DEMAND: frozenset({Phase.LOADING}),
    Phase.LOADING: frozenset({Phase.WARMING_UP, Phase.VERIFYING, Phase.WAITING_FOR_WEIGHTS, Phase.RECOVERING}),
    Phase.WARMING_UP: frozenset({Phase.READY, Phase.RECOVERING}),
    Phase.READY: frozenset({Phase.RECOVERING, Phase.ON_DEMAND}),
    Phase.RECOVERING: frozenset({Phase.LOADING, Phase.ON_DEMAND}),
    Phase.FAILED: frozenset({Phase.LOADING}),
    Phase.DRAINING: frozenset(),
}
ON_ITS_WAY: Final = frozenset({Phase.ON_DEMAND, Phase.VERIFYING, Phase.LOADING, Phase.WARMING_UP})
"""Where models load on demand: the phases in which requests wait for theirs."""
_DOOR_CLOSES_IN: Final = frozenset({Phase.WAITING_FOR_WEIGHTS, Phase.FAILED, Phase.DRAINING})


class Lifecycle:
    """The current phase, since when, how long it is expected to take, and what the last warm-up measured."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._since = self._started
        self._expected_s: float | None = None
        self._reported_progress: float | None = None
        self._changed = asyncio.Event()
        self._loads_on_demand = False
        """Everything was in place for that, and nothing has gone wrong since."""
        self.phase = Phase.WAITING_FOR_WEIGHTS
        self.detail = ""
        self.figures: Figures | None = None
        self.engine: EngineChoice | None = None
        """What the model was loaded into, and why into that."""

    def move_to(self, phase: Phase, detail: str = "") -> None:
        """Enter a phase, with a sentence for health and for whoever is turned away in it."""
        always = phase in {Phase.FAILED, Phase.DRAINING} and self.phase is not Phase.DRAINING
        if not always and phase not in _AFTER[self.phase]:
            raise RuntimeError(f"{self.phase} is not followed by {phase}: this is a bug in whoever walks the phases")
        _log.info("phase", phase=phase.value, before=self.phase.value, detail=detail or None)
        self.phase, self.detail, self._expected_s, self._reported_progress = phase, detail, None, None
        self._since = time.monotonic()
        self._loads_on_demand = phase is Phase.ON_DEMAND or (self._loads_on_demand and phase not in _DOOR_CLOSES_IN)
        self._changed.set()
        self._changed = asyncio.Event()

    def become_ready(self, figures: Figures) -> None:
        """The one way into READY, which takes the figures that only a warm-up can bring."""
        self.figures = figures
        self.move_to(Phase.READY)

    def expect(self, seconds: float) -> None:
        """Say how long the current phase will probably take."""
        self._expected_s = seconds

    def explain(self, detail: str, *, progress: float | None = None) -> None:
        """Say what the current phase is waiting for, and how far that has come, 0 to 1."""
        self._reported_progress = progress
        if detail != self.detail:
            self.detail = detail
            _log.warning(self.phase.value, detail=detail)

    @property
    def device(self) -> str:
        """Where the model computes, or will as far as is known."""
        return self.engine.device if self.engine else "cpu"

    @property
    def uptime_s(self) -> float:
        return time.monotonic() - self._started

    @property
    def accepts_requests(self) -> bool:
        """Whether requests are let in: they are answered, or wait for the model that they have asked for."""
        return self.phase is Phase.READY or (self._loads_on_demand and self.phase in ON_ITS_WAY)

    @property
    def progress(self) -> float | None:
        """The share of the current phase that is probably done, 0 to 0.99; None where nothing is known."""
        if self._expected_s is None:
            return self._reported_progress
        passed_s = time.monotonic() - self._since
        return min(0.99, passed_s / self._expected_s) if self._expected_s else 0.99

    @property
    def estimated_seconds_left(self) -> float | None:
        if self._expected_s is None:
            return None
        return max(0.0, self._expected_s - (time.monotonic() - self._since))

    def not_ready(self) -> NotReadyError:
        """The error for a request that came in a phase in which there is no answer."""
        left = self.estimated_seconds_left
        retry_after_s = min(MAX_RETRY_AFTER_S, max(1, round(left if left is not None else 5)))
        why = f": {self.detail}" if self.detail else ""
        return NotReadyError(
            f"the model is not ready, phase {self.phase}{why}; try again in {retry_after_s} s",
            phase=self.phase,
            retry_after_s=retry_after_s,
        )

    async def wait_for_change(self) -> None:
        """Return at the next transition."""
        await self._changed.wait()
