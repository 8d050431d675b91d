"""What a server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
        for name, text, value in (
            ("rosella_speaking", "Requests that speak.", lambda: admission.speaking),
            ("rosella_waiting", "Requests that wait for a place.", lambda: admission.waiting),
        ):
            Gauge(name, text, registry=self._registry).set_function(value)

    def page(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)


class Counted:
    """An app whose answers are counted by route (as it is written in the app, ids left out) and status."""

    def __init__(self, app: ASGIApp, requests: Counter) -> None:
        self._app, self._requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "unknown")
                self._requests.labels(route, str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, counted)
