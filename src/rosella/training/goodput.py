"""How much of a run's time went into steps, and what took the rest (goodput)."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

CAUSES = ("start", "compile", "restore", "save", "data", "evaluation", "samples")
"""What a run waits for besides its steps: its beginning, programs, a checkpoint read or written, a batch, hooks."""


class Goodput:
    """Counts from when it is made, in seconds; what is spent inside another cause counts for the inner one alone."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock, self._began = clock, clock()
        self._lost: dict[str, float] = dict.fromkeys(CAUSES, 0.0)
        self._inner = [0.0]
        self.first_step: float | None = None

    @contextmanager
    def spent(self, cause: str) -> Generator[None]:
        """Count the block as lost to one of `CAUSES`."""
        assert cause in CAUSES, cause
        since = self._clock()
        self._inner.append(0.0)
        try:
            yield
        finally:
            took = self._clock() - since
            self._lost[cause] += took - self._inner.pop()
            self._inner[-1] += took

    def lost(self, cause: str) -> float:
        """Seconds that were lost to one of `CAUSES` so far."""
        return self._lost[cause]

    def began(self) -> None:
        """The first step is done."""
        if self.first_step is None:
            self.first_step = self._clock() - self._began

    def record(self) -> dict[str, Any]:
        """`seconds` since the start, of them `productive`, those `lost` by cause, and those to the `first_step`'s end."""
        seconds = self._clock() - self._began
        lost = {cause: round(self._lost[cause], 3) for cause in CAUSES if self._lost[cause]}
        productive = round(seconds - sum(self._lost.values()), 3)
        first = None if self.first_step is None else round(self.first_step, 3)
        return {"seconds": round(seconds, 3), "productive": productive, "lost": lost, "first_step": first}
