"""How far the work is, as engines tell it while they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rosella.corpus.catalogue.status import Status
from rosella.corpus.catalogue.tables import DONE, FAILED


@dataclass(frozen=True)
class Advance:
    """How far a stage is: recordings that came to an end, of all, and how many of these failed.

    `seconds` of audio have been done, and `path` comes next or is ''.
    """

    stage: str
    done: int
    total: int
    seconds: float = 0.0
    failed: int = 0
    path: str = ""


ShowAdvance = Callable[[Advance], None]

EXPORT = "export"
"""What an export calls itself where stages have their names."""


def unshown(advance: Advance) -> None:
    """What nobody is shown."""


def advances(status: Status, stages: Sequence[str]) -> Iterator[Advance]:
    """How far stages are by the catalogue, whoever works on them."""
    for stage in stages:
        states = status.stages[stage]
        failed = states.get(FAILED, 0)
        ended = states.get(DONE, 0) + failed
        yield Advance(stage, ended, max(status.recordings, ended), status.stage_seconds[stage], failed)
