"""One stage of one recording: take it, keep it while it runs, commit what it found. The same for all engines."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rosella.corpus.catalogue import leases
from rosella.corpus.catalogue.connection import Unavailable
from rosella.corpus.catalogue.leases import Lease, LeaseLost
from rosella.corpus.catalogue.store import Catalogue
from rosella.corpus.catalogue.tables import DONE, FAILED
from rosella.corpus.stage import Stage, StageResult
from rosella.corpus.steps.scan import source_of
from rosella.errors import NoSpace, RosellaError
from rosella.failpoints import failpoint
from rosella.records import Recording

_log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
"""Workers that may die on a recording before it is parked."""

TAKEN = "taken"


@dataclass(frozen=True)
class JobResult:
    """`done`, `failed` with a reason, or `taken`: it is another worker's, or not due any more."""

    state: str
    reason: str | None = None


@dataclass(frozen=True)
class Terms:
    """How long work may be silent and how long it may take; seconds."""

    lease: float = leases.LEASE_SECONDS
    limit: float = 3600.0
    limit_per_second: float = 30.0
    """Of the recording's audio: a large recogniser on a CPU is that slow."""

    def limit_of(self, recording: Recording) -> float:
        return self.limit + self.limit_per_second * recording.duration


def run_job(
    catalogue: Catalogue,
    stage: Stage,
    recording: Recording,
    holder: str,
    terms: Terms = Terms(),
    overdue: Callable[[], None] | None = None,
) -> JobResult:
    """Run a stage of a recording, if it is due and free, and commit its outcome or the reason of its failure.

    `overdue` is called from another thread when the work takes longer than its terms allow. What is no fault
    of the recording (a full disk, a database that went away, an interruption) is raised, and it stays due.
    """
    lease = leases.claim(catalogue, recording.id, stage.name, stage.version, holder, terms.lease)
    if lease is None:
        return JobResult(TAKEN)
    failpoint("after-claim", stage.name)
    try:
        if lease.attempts > MAX_ATTEMPTS:
            return _failed(catalogue, lease, _parked(lease))
        with _kept(catalogue, lease, recording, terms, overdue):
            outcome = _changed(catalogue, recording) or _run(stage, recording)
            outcome = _changed(catalogue, recording) or outcome
        failpoint("after-run", stage.name)
        if isinstance(outcome, str):
            return _failed(catalogue, lease, outcome)
        catalogue.finish(lease, outcome)
        failpoint("after-commit", stage.name)
        return JobResult(DONE)
    except LeaseLost as lost:
        _log.warning("%s", lost)
        return JobResult(TAKEN)
    except BaseException:
        _let_go(catalogue, lease)
        raise


def anything_due(catalogue: Catalogue, stages: Sequence[Stage]) -> bool:
    """Asked in order: a recording that moves meanwhile moves to a later question."""
    return any(leases.is_due(catalogue, stage.name, stage.version) for stage in stages)


def _run(stage: Stage, recording: Recording) -> StageResult | str:
    """What the stage found, or the reason why it could not."""
    try:
        return stage.run(recording)
    except (NoSpace, Unavailable):
        raise
    except RosellaError as error:
        return str(error)
    except Exception as error:
        # Whatever one file provokes in a decoder or a model must not end the work on all others.
        _log.exception("%s of %s", stage.name, recording.path)
        return f"Unexpected {type(error).__name__}: {error}"


def _changed(catalogue: Catalogue, recording: Recording) -> str | None:
    """Why results would be about another file than the one that was added; an absent one fails where it is read."""
    now, added = source_of(recording.path), catalogue.source(recording.id)
    if added and now.size and now != added:
        return f"{recording.path} changed since it was added: add it again."
    return None


def _failed(catalogue: Catalogue, lease: Lease, reason: str) -> JobResult:
    catalogue.fail(lease, reason)
    return JobResult(FAILED, reason)


def _parked(lease: Lease) -> str:
    return (
        f"It ended {lease.attempts - 1} workers (a crash, too little memory, or longer than allowed): "
        "look at the file and the workers' logs, then retry it."
    )


def _let_go(catalogue: Catalogue, lease: Lease) -> None:
    try:
        leases.give_back(catalogue, lease)
    except RosellaError:
        pass  # it runs out by itself


def give_back_all(catalogue: Catalogue, holder: str) -> None:
    """Let go of everything in these hands: twice, since an interruption may have broken the connection that comes first."""
    for _ in range(2):
        try:
            return leases.give_back_all(catalogue, holder)
        except RosellaError as error:
            _log.warning("%s", error)  # what is not given back runs out by itself
    return None


@contextmanager
def _kept(
    catalogue: Catalogue,
    lease: Lease,
    recording: Recording,
    terms: Terms,
    overdue: Callable[[], None] | None,
) -> Generator[None]:
    """Renew the lease while the block runs and is not overdue."""
    ended = threading.Event()
    deadline = time.monotonic() + terms.limit_of(recording)

    def keep() -> None:
        while not ended.wait(terms.lease / 3):
            if time.monotonic() > deadline:
                _log.error("%s of %s takes longer than allowed", lease.stage, recording.path)
                if overdue is not None:
                    overdue()
                return
            try:
                leases.renew(catalogue, lease, terms.lease)
            except RosellaError as error:
                _log.warning("No heartbeat: %s", error)

    thread = threading.Thread(target=keep, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
