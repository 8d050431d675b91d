"""What a worker tells Prometheus. Nothing is counted until `serve` has been called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.1, 1, 10, 60, 300, 900, 3600, 14400)


@dataclass(frozen=True)
class _Metrics:
    recordings: Counter
    audio: Counter
    seconds: Histogram
    due: Gauge


_metrics: _Metrics | None = None


def serve(port: int) -> None:
    """Answer on `port` and count from now on."""
    global _metrics
    from prometheus_client import Counter, Gauge, Histogram, start_http_server

    _metrics = _Metrics(
        Counter("rosella_recordings", "Recordings by stage and outcome.", ["stage", "outcome"]),
        Counter("rosella_audio_seconds", "Audio taken through a stage.", ["stage"]),
        Histogram("rosella_work_seconds", "Time for one recording.", ["stage"], buckets=SECONDS),
        Gauge("rosella_due", "Recordings due at the last sweep, counted up to a limit.", ["stage"]),
    )
    start_http_server(port)


def count(stage: str, outcome: str, seconds: float, audio_seconds: float) -> None:
    """One recording came to an end in a stage: `done` or `failed`."""
    if _metrics is not None:
        _metrics.recordings.labels(stage, outcome).inc()
        _metrics.audio.labels(stage).inc(audio_seconds)
        _metrics.seconds.labels(stage).observe(seconds)


def due(stage: str, number: int) -> None:
    if _metrics is not None:
        _metrics.due.labels(stage).set(number)
