"""The local engine: one process runs recordings through a stage; a bad one is marked, the rest goes on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from rosella.corpus.catalogue.leases import free_the_dead, holder_name
from rosella.corpus.catalogue.status import Status
from rosella.corpus.catalogue.store import Catalogue
from rosella.corpus.catalogue.tables import DONE
from rosella.corpus.engines.job import TAKEN, Terms, give_back_all, run_job
from rosella.corpus.engines.progress import Advance, ShowAdvance
from rosella.corpus.stage import AheadStage, Stage
from rosella.errors import RosellaError
from rosella.records import Recording
from rosella.stopping import last_will


@dataclass
class Ran:
    """Counts of recordings by stage, and path and reason of those that failed."""

    done: dict[str, int] = field(default_factory=dict)
    failed: list[tuple[str, str]] = field(default_factory=list)


def run(
    catalogue: Catalogue,
    stages: Sequence[Stage],
    progress: ShowAdvance,
    terms: Terms | None = None,
    begin: float = 0.0,
) -> Ran:
    """Run each stage over the recordings it is due for. What is done is stored recording by recording.

    Several processes may run at once: what one has taken, the others leave alone. They meet less when each begins at
    its own place among the recordings: `begin`, from 0 to 1.
    """
    ran, holder = Ran(), holder_name()
    free_the_dead(catalogue)
    with _giving_back(catalogue, holder), _alarm() as overdue:
        for stage in stages:
            due = _rotated(catalogue.due(stage.name, stage.version), begin)
            done, failed, seconds = 0, 0, 0.0
            for number, recording in enumerate(due):
                progress(Advance(stage.name, number, len(due), seconds, failed, recording.path))
                if isinstance(stage, AheadStage):
                    stage.expect(due[number + 1] if number + 1 < len(due) else None)
                result = run_job(catalogue, stage, recording, holder, terms or Terms(), overdue)
                done += result.state == DONE
                seconds += 0.0 if result.state == TAKEN else recording.duration
                if result.reason is not None:
                    failed += 1
                    ran.failed.append((recording.path, result.reason))
            progress(Advance(stage.name, len(due), len(due), seconds, failed))
            ran.done[stage.name] = done
    return ran


def _rotated(recordings: list[Recording], begin: float) -> list[Recording]:
    first = int(begin * len(recordings))
    return recordings[first:] + recordings[:first]


def ran_between(before: Status, after: Status, stages: Sequence[str]) -> Ran:
    """What was done and what failed from one look at the catalogue to another, whoever did it."""
    done = {name: after.stages[name].get(DONE, 0) - before.stages[name].get(DONE, 0) for name in stages}
    known = {(failure["recording"], failure["stage"]) for failure in before.failed}
    new = [failure for failure in after.failed if (failure["recording"], failure["stage"]) not in known]
    return Ran(done, [(failure["path"], failure["reason"]) for failure in new])


@contextmanager
def _giving_back(catalogue: Catalogue, holder: str) -> Generator[None]:
    """Whatever ends the block, nothing stays in these hands: an interruption may come between taking and knowing it."""
    with last_will(partial(give_back_all, catalogue, holder)):
        try:
            yield
        except BaseException:
            give_back_all(catalogue, holder)
            raise


@contextmanager
def _alarm() -> Generator[Callable[[], None] | None]:
    """Yields what another thread calls to stop a stage that hangs; None where signals cannot be handled."""
    if threading.current_thread() is not threading.main_thread():
        yield None
        return

    def stop(*_: object) -> None:
        raise RosellaError("It took longer than is allowed for its length: look at the file, then retry it.")

    before = signal.signal(signal.SIGALRM, stop)
    try:
        yield lambda: os.kill(os.getpid(), signal.SIGALRM)
    finally:
        signal.signal(signal.SIGALRM, before)
