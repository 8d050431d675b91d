"""Clips that go to two people: the second begins from the draft and does not see what the first made of it.

What the second makes of it is kept beside the corrections, which it never changes. Then the second's version, 0, is
stale wherever the two differ: both texts are shown, as to anybody whose clip somebody else has saved meanwhile.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rosella.annotate.edits import agreement, edits
from rosella.annotate.queue import learn_effort
from rosella.corpus.catalogue.annotating import AGAIN, QueueRow, ReadingRow
from rosella.corpus.catalogue.clips import Opened, limits, opened, recording_of
from rosella.corpus.catalogue.corrections import Change, Stale
from rosella.corpus.catalogue.database import Database
from rosella.corpus.catalogue.leases import now
from rosella.corpus.catalogue.results import lock
from rosella.corpus.corrections.clip import ACCEPTED, AnnotatedClip, ClipState, checked


def seen_by(database: Database, clip: AnnotatedClip, person: str) -> AnnotatedClip:
    """The clip as a person may see it: of one that is being read a second time, the draft and the own work on it."""
    with database.session() as session:
        if not _is_second(session, clip.id, person):
            return clip
        row = session.get(ReadingRow, (clip.id, person))
        state = clip.draft if row is None else ClipState.from_dict(row.state)
    return replace(clip, version=0, state=state)


def save_second(
    database: Database, person: str, change: Change, seconds: float | None = None
) -> AnnotatedClip | None:
    """Keep a second person's work on a clip; None where the clip is not one of that kind, and is to be saved as others.

    The clip as the person may see it then: the common one where both agree. Stale where they do not, a UserError
    where the work cannot be kept. The same again changes nothing.
    """
    with database.session() as session:
        lock(session, [recording_of(change.clip)])
        second = _is_second(session, change.clip, person)
        row = session.get(ReadingRow, (change.clip, person))
        if change.version != 0 or not (second or row):
            return None
        found = opened(session, change.clip)
        if second:
            row = _keep(session, person, found, change.after, seconds)
        assert row is not None
        kept, current, done = ClipState.from_dict(row.state), found.clip, row.at is not None
    if not done:
        return replace(current, version=0, state=kept)
    if _differ(kept, current.state):
        raise Stale(current)
    return current


def _is_second(session: Session, clip: str, person: str) -> bool:
    row = session.get(QueueRow, clip)
    return row is not None and row.kind == AGAIN and row.holder == person and row.first != person


def _keep(
    session: Session, person: str, found: Opened, after: ClipState, seconds: float | None
) -> ReadingRow:
    """Without a verdict the work goes on; with one it is compared with the first's, and the clip is settled."""
    clip = found.clip
    known = {turn.speaker for state in (clip.state, clip.draft) for turn in state.turns}
    state = checked(after, *limits(session, clip), known)
    queued, before = session.get_one(QueueRow, clip.id), session.get(ReadingRow, (clip.id, person))
    work = (seconds or 0.0) + ((before.work if before else None) or 0.0)
    length = clip.draft.end - clip.draft.start
    compared = agreement(clip.state, state)
    values: dict[str, Any] = {"first": queued.first, "work": work or None, "length": length, "at": None}
    if state.verdict is not None:
        values["at"] = session.scalar(sa.select(now(session)))
        if state.verdict == ACCEPTED and work:
            learn_effort(session, person, length, edits(clip.draft, state).errors, work)
        session.delete(queued)
    return session.merge(
        ReadingRow(
            clip=clip.id,
            author=person,
            recording=clip.recording,
            state=state.to_dict(),
            other=clip.state.to_dict(),
            **values,
            **compared.to_dict(),
        )
    )


def _differ(one: ClipState, other: ClipState) -> bool:
    """In more than remarks."""
    return (one.unjudged, one.verdict) != (other.unjudged, other.verdict)
