"""Reads `/metrics` as a scraper does."""

import time
from collections.abc import Callable
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from tests.support.gateway_process import GatewayProcess

_PATIENCE_S: Final = 60.0


def metrics(running: GatewayProcess) -> dict[str, float]:
    """Every number by its name, and with its labels where it has some: `preheat_requests_ended_total{finished}`."""
    families = text_string_to_metric_families(running.client.get("/metrics").text)
    return {_name(sample.name, sample.labels): sample.value for family in families for sample in family.samples}


def until_running(running: GatewayProcess, number: int) -> None:
    """Return when so many requests hold a place; a number that never comes fails the test."""
    until_metric(running, "preheat_requests_running", lambda held: held == number)


def until_metric(running: GatewayProcess, name: str, wanted: Callable[[float], bool]) -> None:
    """Return when a metric is as it should be; one that never is fails the test."""
    deadline = time.monotonic() + _PATIENCE_S
    while not wanted(found := metrics(running)[name]):
        assert time.monotonic() < deadline, f"{name} is {found} after {_PATIENCE_S:g} s"


def accepted_and_ended(running: GatewayProcess) -> tuple[int, dict[str, int]]:
    """How many requests were accepted, and how many of them have ended how."""
    numbers, prefix = metrics(running), "preheat_requests_ended_total{"
    ended = {name.removeprefix(prefix)[:-1]: int(number) for name, number in numbers.items() if name.startswith(prefix)}
    return int(numbers["preheat_requests_accepted_total"]), ended


def _name(name: str, labels: dict[str, str]) -> str:
    return f"{name}{{{','.join(labels.values())}}}" if labels else name
