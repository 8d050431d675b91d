"""Which clip a person works on next: where most errors are expected to be found in a second of work.

The queue stands in the order of anybody's work; of its head, what suits the person best is taken, by how long that person
has needed. Who takes a clip has it for a while. Some clips go to two people, and what somebody asks a second opinion
on goes to a reviewer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from rosella.annotate.doubt import EMPTY, Doubt
from rosella.annotate.edits import edits
from rosella.annotate.effort import Effort
from rosella.annotate.filling import USUAL_PACE, blank, known_doubt, measure, refresh
from rosella.corpus.catalogue.annotating import (
    AGAIN,
    SECOND,
    WAITING,
    EffortRow,
    JudgedRow,
    QueueRow,
    ReadingRow,
)
from rosella.corpus.catalogue.database import Database
from rosella.corpus.catalogue.leases import now
from rosella.corpus.catalogue.tables import CorrectionRow, UtteranceRow
from rosella.corpus.corrections.clip import ACCEPTED, REJECTED, AnnotatedClip
from rosella.records import fraction

__all__ = ["CLAIM_SECONDS", "HEAD", "SHARE", "Queued", "about", "next_clip", "refresh", "settle"]

CLAIM_SECONDS = 15 * 60.0
"""How long a clip is a person's alone after it was taken."""

HEAD = 300
"""Clips of the queue's head among which the person's own pace decides."""

SHARE = 0.1
"""Of the clips, so many go to two people."""


@dataclass(frozen=True)
class Queued:
    """A clip for a person, with the errors expected in its draft, the seconds of work on it, and why it is doubted.

    Where the draft is expected to be mostly wrong, the boxes are better `empty`. `kind` is waiting, again or second, None
    for a clip that waits for nobody.
    """

    clip: str
    expected_errors: float
    expected_seconds: float
    why: list[str]
    empty: bool
    kind: str | None


@dataclass(frozen=True)
class _Candidate:
    clip: str
    kind: str | None
    features: list[float]
    words: int
    length: float


_COLUMNS = [getattr(QueueRow, name) for name in _Candidate.__dataclass_fields__]


def next_clip(
    database: Database, person: str, after: str | None = None, reviewer: bool = False
) -> Queued | None:
    """Take the clip that is best to be done next; None where nothing is left for this person.

    Without `after`, the clip that the person leaves, it is the one the person has, if any. A clip that was left
    undone comes back when its time is over.
    """
    with database.session() as session:
        doubt, effort = known_doubt(session), known_effort(session, person)
        held = _held(session, person) if after is None else []
        found = held or _head(session, person, reviewer)
    for candidate in _ranked(found, doubt, effort):
        if _claim(database, candidate.clip, person):
            return _queued(candidate, doubt, effort)
    return None


def about(database: Database, clip: str, person: str) -> Queued | None:
    """What is expected of a clip, waiting or not, without taking it; None where nothing is known of it."""
    with database.session() as session:
        doubt, effort = known_doubt(session), known_effort(session, person)
        candidate = _waiting(session, clip) or _judged(session, clip) or _unmeasured(session, clip)
    return candidate and _queued(candidate, doubt, effort)


def settle(session: Session, clip: AnnotatedClip, author: str, share: float | None = None) -> None:
    """Bring the queue up to what `author` has just made of a clip, in the transaction of the correction.

    A `share` of the clips, `SHARE` by default, goes to a second person.
    """
    row = session.get(QueueRow, clip.id)
    verdict = clip.state.verdict
    if verdict in (ACCEPTED, REJECTED):
        _judge(session, clip, author, row)
    else:
        session.execute(sa.delete(JudgedRow).where(JudgedRow.clip == clip.id))
    kind = _kind(session, clip, SHARE if share is None else share)
    if kind is None or (row is None and kind != SECOND):
        session.execute(sa.delete(QueueRow).where(QueueRow.clip == clip.id))
        return
    if row is None:
        row = blank(clip.recording, clip.id, clip.draft.end - clip.draft.start)
        session.add(row)
    row.utterance = _first_utterance(session, clip.id)
    row.kind, row.first = kind, None if kind == WAITING else author
    if kind != WAITING:
        row.holder, row.until = None, 0.0


def known_effort(session: Session, person: str) -> Effort:
    """How the person works, as far as that is known."""
    row = session.get(EffortRow, person)
    return Effort() if row is None else Effort.from_dict(row.known)


def learn_effort(session: Session, person: str, length: float, errors: int, seconds: float) -> None:
    """Remember how long the person needed for a clip."""
    known = known_effort(session, person).learn(length, errors, seconds)
    session.merge(EffortRow(person=person, known=known.to_dict()))


def is_free(session: Session) -> sa.ColumnElement[bool]:
    """Where nobody has the clip open; a claim that ends too far ahead was made before the clock jumped back."""
    at = now(session)
    return sa.or_(QueueRow.until < at, QueueRow.until > at + 2 * CLAIM_SECONDS)


def _held(session: Session, person: str) -> list[_Candidate]:
    query = sa.select(*_COLUMNS).where(QueueRow.holder == person, ~is_free(session))
    rows = session.execute(query.order_by(QueueRow.until.desc()).limit(1))
    return [_Candidate(*row) for row in rows]


def _head(session: Session, person: str, reviewer: bool) -> list[_Candidate]:
    """What is first in the queue for a person; what the person asked others about only when nothing else is left."""
    others = QueueRow.first != person
    found = _first(session, QueueRow.kind == WAITING) + _first(session, QueueRow.kind == AGAIN, others)
    if reviewer:
        found += _first(session, QueueRow.kind == SECOND, others)
        return found or _first(session, QueueRow.kind == SECOND)
    return found


def _first(session: Session, *conditions: sa.ColumnElement[bool]) -> list[_Candidate]:
    query = sa.select(*_COLUMNS).where(*conditions, QueueRow.utterance.is_not(None), is_free(session))
    return [_Candidate(*row) for row in session.execute(query.order_by(QueueRow.priority.desc()).limit(HEAD))]


def _ranked(found: list[_Candidate], doubt: Doubt, effort: Effort) -> Iterator[_Candidate]:
    """The most errors a second first."""
    if not found:
        return
    errors, seconds = _expected(found, doubt, effort)
    for number in np.argsort(-errors / seconds, kind="stable"):
        yield found[number]


def _expected(found: list[_Candidate], doubt: Doubt, effort: Effort) -> tuple[np.ndarray, np.ndarray]:
    """Errors float[N] and seconds of work float[N]."""
    words, length = (np.array([getattr(c, name) for c in found], float) for name in ("words", "length"))
    errors = doubt.rates(np.array([c.features for c in found])) * words
    return errors, effort.seconds(length, errors)


def _queued(candidate: _Candidate, doubt: Doubt, effort: Effort) -> Queued:
    (errors,), (seconds,) = _expected([candidate], doubt, effort)
    return Queued(
        candidate.clip,
        float(errors),
        float(seconds),
        doubt.reasons(np.array(candidate.features)),
        empty=bool(errors > EMPTY * candidate.words),
        kind=candidate.kind,
    )


def _claim(database: Database, clip: str, person: str) -> bool:
    """One statement, so that of two people one gets the clip."""
    with database.session() as session:
        mine = sa.or_(is_free(session), QueueRow.holder == person)
        statement = sa.update(QueueRow).where(QueueRow.clip == clip, mine)
        values = {"holder": person, "until": now(session) + CLAIM_SECONDS}
        taken: Any = session.execute(statement.values(values).execution_options(synchronize_session=False))
        return taken.rowcount == 1


def _waiting(session: Session, clip: str) -> _Candidate | None:
    query = sa.select(*_COLUMNS).where(QueueRow.clip == clip, QueueRow.utterance.is_not(None))
    return next((_Candidate(*row) for row in session.execute(query)), None)


def _judged(session: Session, clip: str) -> _Candidate | None:
    row = session.get(JudgedRow, clip)
    if row is None or row.features is None or row.words is None:
        return None
    return _Candidate(clip, None, row.features, row.words, row.length)


def _unmeasured(session: Session, clip: str) -> _Candidate | None:
    """A clip that the queue does not know yet."""
    utterance = _first_utterance(session, clip)
    recording = session.scalar(sa.select(UtteranceRow.recording).where(UtteranceRow.id == utterance))
    found = measure(session, recording, USUAL_PACE, utterance) if recording else []
    return next((_Candidate(clip, None, m.features, m.words, m.length) for m in found), None)


def _first_utterance(session: Session, clip: str) -> str | None:
    """Of those a clip became."""
    mine = sa.or_(UtteranceRow.id == clip, UtteranceRow.clip == clip)
    return session.scalar(sa.select(UtteranceRow.id).where(mine).order_by(UtteranceRow.start).limit(1))


def _kind(session: Session, clip: AnnotatedClip, share: float) -> str | None:
    """Whom a clip waits for, as it is now."""
    verdict = clip.state.verdict
    if verdict == ACCEPTED:
        read = session.scalar(sa.select(ReadingRow.clip).where(ReadingRow.clip == clip.id).limit(1))
        return AGAIN if read is None and fraction(f"twice {clip.id}") < share else None
    return {None: WAITING, "second": SECOND}.get(verdict)


def _judge(session: Session, clip: AnnotatedClip, author: str, row: QueueRow | None) -> None:
    """Count what was wrong; of a clip that was accepted for the first time it is learned how long that took."""
    before = session.get(JudgedRow, clip.id)
    found = edits(clip.draft, clip.state)
    length = clip.draft.end - clip.draft.start
    work = {name: seconds for name, seconds in session.execute(_work(clip.id)) if seconds}
    if before is None and clip.state.verdict == ACCEPTED and author in work:
        learn_effort(session, author, length, found.errors, work[author])
    values = {"recording": clip.recording, "author": author, "verdict": clip.state.verdict}
    values |= {"length": length, "seconds": sum(work.values()) or None, **found.to_dict()}
    measured = {"features": row and row.features, "words": row and row.words}
    if before is None:
        at = session.scalar(sa.select(now(session)))
        session.add(JudgedRow(clip=clip.id, at=at, **values, **measured))
    else:
        for name, value in values.items():
            setattr(before, name, value)


def _work(clip: str) -> sa.Select[str, float | None]:
    """Seconds of everybody's work on a clip."""
    row = CorrectionRow
    return sa.select(row.author, sa.func.sum(row.seconds)).where(row.clip == clip).group_by(row.author)
