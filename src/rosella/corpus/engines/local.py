"""The local engine: one process runs recordings through a stage; a bad one is marked, the rest goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rosella.corpus.catalogue.store import Catalogue
from rosella.corpus.durable import NoSpace
from rosella.corpus.segment import Reject
from rosella.errors import RosellaError
from rosella.records import Recording, Utterance

_log = logging.getLogger(__name__)

Progress = Callable[[str, int, int, str], None]
"""Called with stage, recordings done, recordings in all, and the path of the one that comes next or ''."""


@dataclass(frozen=True)
class Outcome:
    """What a stage found in a recording. `utterances` is None where the stage does not make any."""

    utterances: list[Utterance] | None = None
    rejects: list[Reject] = field(default_factory=list)


class Stage(Protocol):
    """One step of the pipeline. `run` is idempotent: it may be killed and repeated at any point."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    def run(self, recording: Recording) -> Outcome: ...


@dataclass
class Ran:
    """Counts of recordings by stage, and path and reason of those that failed."""

    done: dict[str, int] = field(default_factory=dict)
    failed: list[tuple[str, str]] = field(default_factory=list)


def run(catalogue: Catalogue, stages: Sequence[Stage], progress: Progress) -> Ran:
    """Run each stage over the recordings it is due for. What is done is stored recording by recording."""
    ran = Ran()
    for stage in stages:
        due = catalogue.due(stage.name, stage.version)
        ran.done[stage.name] = 0
        for number, recording in enumerate(due):
            progress(stage.name, number, len(due), recording.path)
            reason = _run_one(catalogue, stage, recording)
            if reason is None:
                ran.done[stage.name] += 1
            else:
                ran.failed.append((recording.path, reason))
        progress(stage.name, len(due), len(due), "")
    return ran


def _run_one(catalogue: Catalogue, stage: Stage, recording: Recording) -> str | None:
    """The reason of the failure, or None."""
    try:
        outcome = stage.run(recording)
    except NoSpace:
        raise
    except RosellaError as error:
        reason = str(error)
    except Exception as error:
        # Whatever one file provokes in a decoder or a codec must not end the work on all others.
        _log.exception("%s of %s", stage.name, recording.path)
        reason = f"Unexpected {type(error).__name__}: {error}"
    else:
        catalogue.finish(recording.id, stage.name, stage.version, outcome.utterances, outcome.rejects)
        return None
    catalogue.fail(recording.id, stage.name, stage.version, reason)
    return reason
