"""Prometheus metrics: what was asked, what came out, and how long it took. Counted from request records alone."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from llm_gateway.telemetry.request_record import RequestRecord

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The counters of one gateway, in a registry of its own."""

    def __init__(self, num_running: Callable[[], float]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter("preheat_requests", "Requests by how they ended", ["outcome"], registry=self._registry)
        self._prompt = Counter("preheat_prompt_tokens", "Tokens of prompts", registry=self._registry)
        self._generated = Counter("preheat_generation_tokens", "Tokens generated", registry=self._registry)
        self._first_token = Histogram(
            "preheat_time_to_first_token_seconds", "TTFT, queue included", buckets=_SECONDS, registry=self._registry
        )
        self._total = Histogram(
            "preheat_request_duration_seconds", "From arrival to end", buckets=_SECONDS, registry=self._registry
        )
        running = Gauge("preheat_requests_running", "Requests that hold a place", registry=self._registry)
        running.set_function(num_running)
        self.ready = Gauge("preheat_ready", "1 while the phase is ready", registry=self._registry)

    def count(self, record: RequestRecord) -> None:
        """Add one request that has ended."""
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
