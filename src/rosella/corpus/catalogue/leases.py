"""Who works on what: a worker takes a stage of a recording for a while, keeps it by heartbeats, and settles it.

Leases are counted by the database's clock alone. A worker that lost its lease cannot commit: settling happens
in the transaction of the results. So a recording passes a stage once, whatever the clocks and the network do.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, aliased

from rosella.corpus.catalogue.database import Database
from rosella.corpus.catalogue.tables import DONE, PENDING, JobRow, RecordingRow, StateRow
from rosella.corpus.stage import STAGES
from rosella.errors import RosellaError

LEASE_SECONDS = 60.0
"""How long after a worker's last heartbeat its work is given to another."""


class LeaseLost(RosellaError):
    """Another worker has taken the job meanwhile: what was found is dropped."""


@dataclass(frozen=True)
class Lease:
    """A version of a stage of a recording in the hands of `holder`; `attempts` workers took it, this one included."""

    recording: str
    stage: str
    version: str
    holder: str
    attempts: int

    @property
    def held(self) -> tuple[sa.ColumnElement[bool], ...]:
        """Where the job is still in these hands."""
        return (
            JobRow.recording == self.recording,
            JobRow.stage == self.stage,
            JobRow.holder == self.holder,
            JobRow.attempts == self.attempts,
        )

    def settle(self, session: Session) -> None:
        """End the lease in the transaction of its results; LeaseLost where it is not held any more."""
        if _rows(session, sa.delete(JobRow).where(*self.held)) != 1:
            raise LeaseLost(f"{self.stage} of {self.recording} was taken over by another worker.")


def holder_name() -> str:
    """Machine, process and a random part: no two workers have the same."""
    return f"{_machine()}{os.getpid()}:{os.urandom(4).hex()}"


def claim(
    database: Database,
    recording: str,
    stage: str,
    version: str,
    holder: str,
    seconds: float = LEASE_SECONDS,
) -> Lease | None:
    """Take a job for `seconds`, or None: it is done, not due yet, or in other hands."""
    try:
        with database.session() as session:
            attempts = _take(session, recording, stage, holder, seconds)
            if attempts is None:
                return None
            lease = Lease(recording, stage, version, holder, attempts)
            if session.scalar(due_query(stage, version).where(RecordingRow.id == recording)) is None:
                lease.settle(session)
                return None
            return lease
    except exc.IntegrityError:
        return None  # the recording was removed


def _take(session: Session, recording: str, stage: str, holder: str, seconds: float) -> int | None:
    """One statement, so that of two workers one gets the job: its number of attempts, or None."""
    insert: Any = postgresql.insert if is_postgresql(session) else sqlite.insert
    expires = now(session) + seconds
    statement = insert(JobRow).values(
        recording=recording, stage=stage, holder=holder, expires=expires, attempts=1
    )
    taken_over = {"holder": holder, "expires": expires, "attempts": JobRow.attempts + 1}
    statement = statement.on_conflict_do_update(
        index_elements=["recording", "stage"], set_=taken_over, where=_is_free(session, seconds)
    )
    return session.scalar(statement.returning(JobRow.attempts))


def renew(database: Database, lease: Lease, seconds: float = LEASE_SECONDS) -> bool:
    """Keep a job for `seconds` from now. False where it is lost."""
    with database.session() as session:
        statement = sa.update(JobRow).where(*lease.held).values(expires=now(session) + seconds)
        return _rows(session, statement) == 1


def give_back(database: Database, lease: Lease) -> None:
    """Let go of a job that was not to blame for its end: the attempt does not count."""
    with database.session() as session:
        values = {"expires": 0.0, "attempts": JobRow.attempts - 1}
        session.execute(sa.update(JobRow).where(*lease.held).values(values))


def give_back_all(database: Database, holder: str) -> None:
    """Let go of everything in these hands, as `give_back`."""
    with database.session() as session:
        values = {"expires": 0.0, "attempts": JobRow.attempts - 1}
        session.execute(sa.update(JobRow).where(JobRow.holder == holder, JobRow.expires > 0).values(values))


def free_the_dead(database: Database) -> None:
    """End the leases of processes of this machine that are no more, instead of waiting for them to run out."""
    mine = JobRow.holder.startswith(_machine(), autoescape=True)
    with database.session() as session:
        holders = session.scalars(sa.select(JobRow.holder).where(mine, JobRow.expires > 0).distinct()).all()
        for holder in holders:
            if not _lives(int(holder.removeprefix(_machine()).split(":")[0])):
                session.execute(sa.update(JobRow).where(JobRow.holder == holder).values(expires=0.0))


def waiting(
    database: Database, stage: str, version: str, limit: int, seconds: float = LEASE_SECONDS
) -> list[str]:
    """Ids of recordings that wait for a stage and are in nobody's hands, at most `limit`."""
    with database.session() as session:
        held = sa.exists().where(
            JobRow.recording == RecordingRow.id, JobRow.stage == stage, ~_is_free(session, seconds)
        )
        query = due_query(stage, version).where(~held).with_only_columns(RecordingRow.id).limit(limit)
        return list(session.scalars(query))


def is_due(database: Database, stage: str, version: str) -> bool:
    """Whether a stage is to be done for some recording, be it in somebody's hands or not."""
    with database.session() as session:
        query = due_query(stage, version).with_only_columns(RecordingRow.id).limit(1)
        return session.scalar(query) is not None


def due_query(stage: str, version: str) -> sa.Select[RecordingRow]:
    """Selects the recordings a stage of this version is due for."""
    before = aliased(StateRow)
    return (
        sa.select(RecordingRow)
        .join(
            before, (before.recording == RecordingRow.id) & (before.stage == STAGES[STAGES.index(stage) - 1])
        )
        .outerjoin(StateRow, (StateRow.recording == RecordingRow.id) & (StateRow.stage == stage))
        .where(before.state == DONE)
        .where(sa.or_(StateRow.state.is_(None), StateRow.state == PENDING, StateRow.version != version))
    )


def _is_free(session: Session, seconds: float) -> sa.ColumnElement[bool]:
    """A lease that ends too far ahead was written before the database's clock jumped back."""
    at = now(session)
    return sa.or_(JobRow.expires < at, JobRow.expires > at + 2 * seconds)


def now(session: Session) -> sa.ColumnElement[float]:
    """Seconds of the database's clock, not of this machine's."""
    if is_postgresql(session):
        return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Float(53))
    return (sa.func.julianday("now") - 2440587.5) * 86400.0


def is_postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def spans_machines(database: Database) -> bool:
    """Whether workers on several machines may share this catalogue: SQLite over a network file system breaks."""
    with database.session() as session:
        return is_postgresql(session)


def _rows(session: Session, statement: Any) -> int:
    return session.execute(statement).rowcount  # type: ignore[attr-defined]


@cache
def _machine() -> str:
    """The host, and where there is one its process namespace: containers may share the name of their host."""
    try:
        namespace = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        namespace = 0
    return f"{socket.gethostname()}/{namespace}:"


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
