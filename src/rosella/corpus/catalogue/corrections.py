"""What people correct: rows that are only added; the utterances that follow are replaced in the same transaction.

Whoever saves names the version he saw. Of two that save the same one, the second is told what the first made of it.
A request is known by its author's key: sent again, it changes nothing and gives what it gave.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rosella.corpus.catalogue.clips import Opened, all_corrected, limits, opened, recording_of, to_json
from rosella.corpus.catalogue.database import Database
from rosella.corpus.catalogue.names import JOINS, PARTS, Names, Renaming
from rosella.corpus.catalogue.requests import Request, answered, of_request, once, to_row
from rosella.corpus.catalogue.results import lock, put_in_place
from rosella.corpus.catalogue.rows import turns_of, utterances_of
from rosella.corpus.catalogue.search import search as search
from rosella.corpus.catalogue.tables import CorrectionRow
from rosella.corpus.corrections.clip import (
    OF_PEOPLE,
    AnnotatedClip,
    ClipState,
    check_name,
    checked,
    is_of_people,
)
from rosella.errors import RosellaError, UserError

ACTIONS = ("accept", "edit", "reject", "comment", "second", "undo", "rename", "replace", "import")
Also = Callable[[Session, AnnotatedClip], None]
"""Done in the transaction of a correction, with the clip it made."""


class Stale(RosellaError):
    """Somebody else has saved the clip meanwhile; `current` is what he made of it."""

    def __init__(self, current: AnnotatedClip) -> None:
        super().__init__("Somebody else has corrected this clip meanwhile: look at both, then save again.")
        self.current = current


@dataclass(frozen=True)
class Change:
    """What is to become of a clip, made against a `version` of it."""

    clip: str
    version: int
    after: ClipState
    action: str


@dataclass(frozen=True)
class Correction:
    """A row of the history; of a clip, or of a recording's speakers, whose names stand under "speaker"."""

    number: int
    recording: str
    clip: str | None
    version: int | None
    action: str
    before: dict[str, Any]
    after: dict[str, Any]
    undoes: int | None
    author: str
    at: float
    seconds: float | None
    batch: str | None


def _nothing(_: Session, __: AnnotatedClip) -> None:
    pass


def read(database: Database, clip: str) -> AnnotatedClip:
    """A clip as it is now; a UserError where there is none."""
    with database.snapshot() as session:
        return opened(session, clip).clip


def bounds(database: Database, clip: str) -> tuple[float, float]:
    """Between which moments (seconds) the edges of a clip may move."""
    with database.snapshot() as session:
        return limits(session, opened(session, clip).clip)


def save(
    database: Database,
    author: str,
    changes: Sequence[Change],
    key: str,
    seconds: float | None = None,
    batch: str | None = None,
    also: Also = _nothing,
) -> list[AnnotatedClip]:
    """Store all of the changes or none, and replace the utterances of their clips; the clips as they then are.

    A UserError says what cannot be kept, Stale that a clip has changed meanwhile. `seconds` of work are divided among
    the changes; `also` runs in the same transaction.
    """
    spent = None if seconds is None or not 0 <= seconds < math.inf else seconds / max(1, len(changes))
    request = Request(author, key, spent, batch)

    def change(session: Session) -> list[AnnotatedClip]:
        lock(session, [recording_of(change.clip) for change in changes])
        asked = [(change.clip, change.version) for change in changes]
        if (before := answered(session, request, asked)) is not None:
            return before
        return [_apply(session, request, part, change, also) for part, change in enumerate(changes)]

    return once(database, request, change)


def undo(
    database: Database, author: str, number: int, key: str, also: Also = _nothing
) -> list[AnnotatedClip]:
    """Give a clip, or a recording's speakers, back what they were before a correction, as a correction of its own.

    Undoing that does it again. Stale where the clip is not any more what the correction had made of it.
    """
    request = Request(author, key)

    def change(session: Session) -> list[AnnotatedClip]:
        row = session.get(CorrectionRow, number)
        if row is None:
            raise UserError(f"There is no correction {number}: it was removed with its recording.")
        lock(session, [row.recording])
        if (before := answered(session, request)) is not None:
            return before
        if row.clip is None:
            _undo_renaming(session, request, row)
            return []
        undone = _undone(session, request, 0, row, also)
        if undone is None:
            raise Stale(opened(session, row.clip).clip)
        return [undone]

    return once(database, request, change)


def undo_batch(
    database: Database, author: str, batch: str, key: str, also: Also = _nothing
) -> tuple[list[AnnotatedClip], int]:
    """Undo what was corrected together; also how many clips have moved on since, and were left as they are."""
    request = Request(author, key, batch=str(uuid.uuid4()))
    query = sa.select(CorrectionRow).where(CorrectionRow.batch == batch).order_by(CorrectionRow.number.desc())

    def change(session: Session) -> tuple[list[AnnotatedClip], int]:
        rows = session.scalars(query).all()
        lock(session, [row.recording for row in rows])
        if (before := answered(session, request)) is not None:
            return before, len(rows) - len(before)
        undone = [_undone(session, request, part, row, also) for part, row in enumerate(rows)]
        made = [clip for clip in undone if clip is not None]
        return made, len(rows) - len(made)

    return once(database, request, change)


def speakers(database: Database, recording: str) -> list[str]:
    """Everybody who speaks in a recording, by the present names, in order of the alphabet."""
    with database.snapshot() as session:
        return _speakers(session, recording, Names.read(session, recording))


def rename_speaker(database: Database, author: str, recording: str, before: str, after: str, key: str) -> int:
    """Give a speaker another name in the whole recording; one that is there makes the two one. The correction's number."""
    request = Request(author, key)
    after = check_name(after)

    def change(session: Session) -> int:
        lock(session, [recording])
        if (row := session.scalar(of_request(request))) is not None:
            return row.number
        names = Names.read(session, recording)
        there = _speakers(session, recording, names)
        if before not in there:
            raise UserError(f"Nobody in the recording is called {before!a:.80}: name one who speaks there.")
        if before == after:
            raise UserError(f"{before} is called that already: give another name.")
        merge = JOINS if after in there else None
        return _rename(session, request, recording, Renaming(0, before, after, None, merge), "rename")

    return once(database, request, change)


def history(
    database: Database, clip: str | None = None, recording: str | None = None, since: int = 0
) -> Iterator[Correction]:
    """Corrections with higher numbers than `since`, in their order: of a clip, of a recording, or all."""
    row = CorrectionRow
    columns = [getattr(row, name) for name in Correction.__dataclass_fields__]
    query = sa.select(*columns).where(row.number > since).order_by(row.number)
    query = query if clip is None else query.where(row.clip == clip)
    query = query if recording is None else query.where(row.recording == recording)
    with database.long_session() as session:
        for values in session.execute(query.execution_options(yield_per=1000)):
            yield Correction(*values)


def newest(database: Database) -> int:
    """The number of the latest correction, 0 where there is none."""
    with database.session() as session:
        return session.scalar(sa.select(sa.func.max(CorrectionRow.number))) or 0


def _apply(session: Session, request: Request, part: int, change: Change, also: Also) -> AnnotatedClip:
    if change.action not in ACTIONS:
        raise UserError(f"The action {change.action!a:.80} is unknown: use one of {', '.join(ACTIONS)}.")
    before = opened(session, change.clip)
    if before.clip.version != change.version or before.clip.id != change.clip:
        raise Stale(before.clip)
    known = {turn.speaker for state in (before.clip.state, before.clip.draft) for turn in state.turns}
    after = checked(change.after, *limits(session, before.clip), known)
    return _correct(session, request, part, before, after, change.action, also)


def _undone(
    session: Session, request: Request, part: int, row: CorrectionRow, also: Also
) -> AnnotatedClip | None:
    """The clip without a correction; None where it is not what the correction had made of it."""
    assert row.clip is not None
    current = opened(session, row.clip)
    made, before = (
        current.names.state(ClipState.from_dict(state), row.number) for state in (row.after, row.before)
    )
    if current.clip.state != made:
        return None
    known = {turn.speaker for turn in before.turns}
    checked(before, *limits(session, current.clip), known)
    return _correct(session, request, part, current, before, "undo", also, row.number)


def _correct(
    session: Session,
    request: Request,
    part: int,
    before: Opened,
    after: ClipState,
    action: str,
    also: Also,
    undoes: int | None = None,
) -> AnnotatedClip:
    clip = replace(before.clip, version=before.clip.version + 1, state=after)
    found = not is_of_people(before.clip.state, before.clip.draft)
    session.add(
        to_row(
            request,
            part,
            recording=clip.recording,
            clip=clip.id,
            version=clip.version,
            action=action,
            before=before.clip.state.to_dict(),
            after=after.to_dict(),
            utterance=to_json(before.drafted) if found else None,
            undoes=undoes,
        )
    )
    session.flush()
    put_in_place(session, before, replace(before, clip=clip))
    also(session, clip)
    return clip


def _speakers(session: Session, recording: str, names: Names) -> list[str]:
    heard = {names.now(turn.speaker) for turn in turns_of(session, recording, None) if not turn.overlap}
    for utterance in utterances_of(session, recording):
        given = utterance if utterance.transcript_source in OF_PEOPLE else names.utterance(utterance)
        heard.update(given.speakers)
    return sorted(heard)


def _rename(session: Session, request: Request, recording: str, renaming: Renaming, action: str) -> int:
    after = {"speaker": renaming.after} | ({"merge": renaming.merge} if renaming.merge else {})
    row = to_row(
        request,
        0,
        recording=recording,
        action=action,
        before={"speaker": renaming.before},
        after=after,
        undoes=renaming.undoes,
    )
    session.add(row)
    session.flush()
    for clip in all_corrected(session, recording, Names.read(session, recording)):
        if is_of_people(clip.clip.state, clip.clip.draft):
            put_in_place(session, clip, clip)
    return row.number


def _undo_renaming(session: Session, request: Request, row: CorrectionRow) -> None:
    names = Names.read(session, row.recording)
    (done,) = (renaming for renaming in names.renamings if renaming.number == row.number)
    later = [renaming for renaming in names.holding() if renaming.number > row.number]
    if any(renaming.undoes == row.number for renaming in names.renamings) or any(
        renaming.before in (done.after, done.before) for renaming in later
    ):
        raise UserError(f"{done.after} was renamed again since: undo that first.")
    merge = {JOINS: PARTS, PARTS: JOINS}.get(done.merge or "")
    renaming = Renaming(0, done.after, done.before, done.number, merge)
    _rename(session, request, row.recording, renaming, "undo")
