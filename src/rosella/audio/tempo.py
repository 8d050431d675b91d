"""Speech that comes in pieces, said slower or faster without another pitch (FFmpeg's `atempo`, through PyAV)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rosella.errors import UserError

SLOWEST, FASTEST = 0.25, 4.0
_STEP = 2.0
"""As far as one filter goes without leaving samples out; more is done by several."""


class Tempo:
    """Pieces of one sound at another pace; at a pace of 1 they pass as they are."""

    def __init__(self, pace: float, sample_rate: int) -> None:
        """`pace` is how much faster, 0.25 to 4, and the rate is in Hz; UserError for any other pace."""
        if not SLOWEST <= pace <= FASTEST:
            raise UserError(f"The pace is {pace:g}: choose {SLOWEST:g} (slow) to {FASTEST:g} (fast).")
        self._rate, self._graph = sample_rate, None if pace == 1 else _graph(pace, sample_rate)

    def push(self, wave: np.ndarray) -> np.ndarray:
        """The samples float32 `[samples]` that are settled with these; often fewer, or none."""
        if self._graph is None or not len(wave):
            return wave
        import av

        samples = np.ascontiguousarray(wave, np.float32)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
        frame.sample_rate = self._rate
        self._graph.push(frame)
        return self._settled()

    def finish(self) -> np.ndarray:
        """The samples that are left once none are to come."""
        if self._graph is None:
            return np.zeros(0, np.float32)
        self._graph.push(None)
        return self._settled()

    def _settled(self) -> np.ndarray:
        return np.concatenate([np.zeros(0, np.float32), *self._pulled()])

    def _pulled(self) -> Iterator[np.ndarray]:
        from av.error import BlockingIOError, EOFError

        while True:
            try:
                frame: Any = self._graph.pull()  # type: ignore[union-attr]
            except (BlockingIOError, EOFError):
                return
            yield frame.to_ndarray()[0]


def _graph(pace: float, sample_rate: int) -> Any:
    from av.filter import Graph

    graph = Graph()
    filters = [
        graph.add_abuffer(sample_rate=sample_rate, format="flt", layout="mono"),
        graph.add("asetnsamples", f"n={sample_rate // 100}:p=0"),
    ]
    filters += [graph.add("atempo", f"{share:.6f}") for share in _shares(pace)]
    graph.link_nodes(*filters, graph.add("abuffersink")).configure()
    return graph


def _shares(pace: float) -> list[float]:
    """Factors that together are the pace, none beyond what one filter does."""
    number = 1 if 1 / _STEP <= pace <= _STEP else 2
    return [pace ** (1 / number)] * number
