"""How fast a run is, how much of its devices it uses, how long it waits for data, and the most memory it took."""

from __future__ import annotations

import resource
import sys
import time

import jax

from rosella.model.flops import device_peak
from rosella.training.goodput import Goodput


class Speed:
    """What the clock says of the steps since it was last asked."""

    def __init__(self, dtype: str, goodput: Goodput) -> None:
        self.goodput = goodput
        one = device_peak(dtype)  # measured on a CPU, so before there is a step to disturb it
        self.peak = one and one * jax.device_count()
        self._begin()

    def add(self, frames: float, flops: float) -> None:
        """A step of so many useful frames and operations."""
        self.frames, self.flops = self.frames + frames, self.flops + flops

    def read(self) -> dict[str, float | None]:
        """The values of `measures.BY_THE_CLOCK`, and a new beginning."""
        seconds = time.perf_counter() - self.since
        values: dict[str, float | None] = {
            "frames_per_second": round(self.frames / seconds, 1),
            "mfu": self.peak and round(self.flops / seconds / self.peak, 6),
            "data_wait": round(min(1.0, (self.goodput.lost("data") - self.waited) / seconds), 4),
            "peak_memory": round(peak_memory() / 2**30, 3),
        }
        self._begin()
        return values

    def _begin(self) -> None:
        self.frames = self.flops = 0.0
        self.waited, self.since = self.goodput.lost("data"), time.perf_counter()


def peak_memory() -> int:
    """The most bytes in use at once on the fullest device of this process, or in the process where devices do not say."""
    told = [stats for device in jax.local_devices() if (stats := device.memory_stats())]
    if told:
        return max(stats["peak_bytes_in_use"] for stats in told)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
