"""What a server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from rosella.serve.admission import Admission

_WAITS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0)


class Metrics:
    """One set a server; every name begins with `rosella_`."""

    def __init__(self, admission: Admission) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "rosella_requests", "Requests answered.", ["route", "status"], registry=self._registry
        )
        self.audio = Counter("rosella_audio_seconds", "Seconds of speech made.", registry=self._registry)
        self.first_audio = Histogram(
            "rosella_first_audio_seconds",
            "From a request to the first sound of its answer, waiting included.",
            buckets=_WAITS,
            registry=self._registry,
        )
        self.broken_off = Counter(
            "rosella_broken_off",
            "Speeches that nobody heard to their end.",
            ["reason"],
            registry=self._registry,
        )
        for name, text, value in (
            ("rosella_speaking", "Requests that speak.", lambda: admission.speaking),
            ("rosella_waiting", "Requests that wait for a place.", lambda: admission.waiting),
        ):
            Gauge(name, text, registry=self._registry).set_function(value)

    def page(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)
