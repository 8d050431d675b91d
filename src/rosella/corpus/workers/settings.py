"""What a run does, by names: the same on every machine, and kept in the catalogue for workers and later runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rosella.corpus.catalogue import settings as kept
from rosella.corpus.catalogue.database import Database
from rosella.corpus.models import Models
from rosella.corpus.steps.segment import Cutting

SETTING = "run"
"""Under which the catalogue keeps what the workers run."""


@dataclass(frozen=True)
class Settings:
    """What a run does; see the options of `rosella corpus run`."""

    codec: str
    max_seconds: float
    skip: float
    recogniser: str | None
    clean_recogniser: str | None
    diarizer: str
    wordless: bool = False
    """Whether there are recordings without transcripts, which need the recogniser."""

    @property
    def cutting(self) -> Cutting:
        return Cutting(max_seconds=self.max_seconds, skip=self.skip)


Loader = Callable[[Settings, str | None], Models]
"""Loads what settings name on a device, by default on the best: a function of a module, which processes can be given."""


def last_recognisers(database: Database) -> tuple[str | None, str | None]:
    """The recognisers of the last run: without one, its transcripts would have to be given up."""
    last = kept.read(database, SETTING) or {}
    return last.get("recogniser"), last.get("clean_recogniser")
