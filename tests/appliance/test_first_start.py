"""`docker compose up --wait` on an empty volume: what is promised while it runs, and when it has returned."""

from datetime import datetime

from tests.support.appliance import DEPENDENT, FETCHER, GATEWAY, Appliance


def test_nothing_is_ready_before_the_model_is_warm_and_the_dependent_starts_after(fresh: Appliance) -> None:
    starting = fresh.start("up", "--wait")
    seen = list(fresh.watch_health_until(starting))
    finished = fresh.wait_for(starting)
    assert finished.exit_code == 0, f"{finished.output}\n{fresh.logs()}"

    early = [(status, health) for status, health in seen if not health.get("figures")]
    assert early, "the start was not observed"
    assert all(status in {0, 503} for status, _ in early), "said to be ready before a warm-up had measured anything"
    assert {health["status"] for _, health in early if health} >= {"unreachable"}

    status, health = fresh.health()
    assert (status, health["status"], health["phase"]) == (200, "healthy", "ready")
    assert health["figures"]["tokens_per_s"] > 0
    assert health["figures"]["num_prompts"] >= 2

    assert _moment(fresh.inspect(DEPENDENT)["State"]["StartedAt"]) > _first_healthy_probe(fresh)
    assert fresh.inspect(FETCHER)["State"]["ExitCode"] == 0
    assert "The gateway is warm. It says:" in fresh.logs(DEPENDENT)
    assert "GATEWAY_PORT" in fresh.generate("How do I change the port?")["text"]


def _first_healthy_probe(appliance: Appliance) -> datetime:
    probes = appliance.inspect(GATEWAY)["State"]["Health"]["Log"]
    return min(_moment(probe["End"]) for probe in probes if probe["ExitCode"] == 0)


def _moment(text: str) -> datetime:
    """Read Docker's time, which has nanoseconds and a zone in either notation."""
    head, _, rest = text.partition(".")
    zone = rest.lstrip("0123456789") or "Z"
    fraction = rest[: len(rest) - len(zone)] if rest else "0"
    return datetime.fromisoformat(f"{head}.{fraction[:6]:0<6}{zone.replace('Z', '+00:00')}")
