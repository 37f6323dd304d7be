"""Prometheus metrics: what was asked, what came out, and how long it took."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from llm_gateway.telemetry.request_record import Outcome, RequestRecord

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The counters of one gateway, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = self._counter("requests", "Requests by how they ended", ["outcome"])
        self._accepted = self._counter("requests_accepted", "Generation requests that were given a place")
        self._ended = self._counter("requests_ended", "Accepted requests by their one terminal event", ["outcome"])
        for outcome in Outcome:  # so that their sum can be compared with what was accepted from the first scrape on
            self._ended.labels(outcome)
        self._prompt = self._counter("prompt_tokens", "Tokens of prompts")
        self._generated = self._counter("generation_tokens", "Tokens generated")
        self._first_token = self._histogram("time_to_first_token_seconds", "TTFT, queue included")
        self._total = self._histogram("request_duration_seconds", "From arrival to end")
        self.ready = Gauge("preheat_ready", "1 while the phase is ready", registry=self._registry)

    def watch(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Show a number that goes up and down and is kept elsewhere."""
        Gauge(f"preheat_{name}", what, registry=self._registry).set_function(value)

    def watch_count(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Show a number that only grows and is kept elsewhere."""
        self._registry.register(_CountKeptElsewhere(f"preheat_{name}", what, value))

    def accept(self) -> None:
        """Count a generation request that was given a place: a part of a batch is one."""
        self._accepted.inc()

    def end(self, outcome: Outcome) -> None:
        """Count the terminal event of an accepted request."""
        self._ended.labels(outcome).inc()

    def count(self, record: RequestRecord) -> None:
        """Add one HTTP request that has ended."""
        self._requests.labels(record.outcome or "none").inc()
        self._prompt.inc(record.usage.prompt_tokens)
        self._generated.inc(record.usage.completion_tokens)
        if record.timings.first_token_s is not None:
            self._first_token.observe(record.timings.first_token_s)
        if record.timings.total_s is not None:
            self._total.observe(record.timings.total_s)

    def render(self) -> bytes:
        """The text format that Prometheus scrapes."""
        return generate_latest(self._registry)

    def _counter(self, name: str, what: str, labels: list[str] | None = None) -> Counter:
        return Counter(f"preheat_{name}", what, labels or (), registry=self._registry)

    def _histogram(self, name: str, what: str) -> Histogram:
        return Histogram(f"preheat_{name}", what, buckets=_SECONDS, registry=self._registry)


class _CountKeptElsewhere(Collector):
    """A counter whose value is asked for at each scrape, as gauges can be and the library's counters cannot."""

    def __init__(self, name: str, what: str, value: Callable[[], float]) -> None:
        self._name, self._what, self._value = name, what, value

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self._name, self._what, value=self._value())
