"""The queue in the background: clips that are new or changed are measured, and all are weighed anew as people correct.

Whatever it does is done again where it was broken off, and at most a recording is locked at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from rosella.annotate.doubt import FEATURES, Doubt, features, fit, length_in_words, pace
from rosella.annotate.effort import Effort
from rosella.corpus.catalogue.annotating import JudgedRow, QueueRow
from rosella.corpus.catalogue.database import Database
from rosella.corpus.catalogue.leases import is_postgresql
from rosella.corpus.catalogue.results import lock
from rosella.corpus.catalogue.tables import RecordingRow, SettingRow, TurnRow, UtteranceRow
from rosella.corpus.corrections.clip import ACCEPTED, HUMAN
from rosella.records import Turn, Utterance

DOUBT = "doubt"
"""Where the weights of doubt stand among the settings."""

RECORDINGS, ROWS = 50, 500
"""Recordings that are looked through at once; rows that are weighed in one transaction."""

FEWEST, MORE, MOST = 10, 1.5, 5000
"""Judged clips that doubt is first fitted to; how many times more it takes for the next time; the latest are enough."""

SAMPLE, FEWEST_PACES = 2000, 5
USUAL_PACE = 14.0
"""Characters a second where nothing is known yet."""

_SAID = (UtteranceRow.transcript_source != HUMAN, UtteranceRow.text != "")


@dataclass(frozen=True)
class Measured:
    """A draft as it goes into the queue; `text` tells whether it is still what was measured."""

    clip: str
    utterance: str
    text: str
    features: list[float]
    words: int
    length: float


def refresh(database: Database, stopped: Callable[[], bool] = lambda: False) -> int:
    """Bring the queue up to date, until it is or `stopped`; the number of rows that were written."""
    doubt = learn(database)
    written = 0
    usual = _usual_pace(database)
    for recording in _out_of_date(database):
        if stopped():
            return written
        written += _fill(database, recording, doubt, usual)
    while not stopped() and (some := _weigh(database, doubt)):
        written += some
    return written


def known_doubt(session: Session) -> Doubt:
    """Doubt as it was last fitted."""
    row = session.get(SettingRow, DOUBT)
    return Doubt() if row is None else Doubt(np.array(row.value["weights"]), row.value["clips"])


def learn(database: Database) -> Doubt:
    """Doubt, fitted anew where people have judged so many clips more that it is worth while."""
    there = sa.and_(JudgedRow.features.is_not(None), JudgedRow.verdict == ACCEPTED)
    with database.session() as session:
        doubt = known_doubt(session)
        count = session.scalar(sa.select(sa.func.count()).select_from(JudgedRow).where(there)) or 0
        if count < max(FEWEST, MORE * doubt.clips):
            return doubt
        errors = JudgedRow.substituted + JudgedRow.inserted + JudgedRow.deleted + JudgedRow.speaker
        query = sa.select(JudgedRow.features, JudgedRow.words, errors).where(there)
        rows = session.execute(query.order_by(JudgedRow.at.desc()).limit(MOST)).all()
        measured, words, found = (np.array(column, float) for column in zip(*rows, strict=True))
        fitted = Doubt(fit(measured, words, found).weights, count)
        value = {"weights": fitted.weights.tolist(), "clips": count}
        session.merge(SettingRow(name=DOUBT, value=value))
    return fitted


def weighed(doubt: Doubt, found: Sequence[tuple[list[float], int, float]]) -> list[dict[str, float]]:
    """Expected errors, and those for a second of anybody's work, of drafts with features, words and length."""
    if not found:
        return []
    measured, words, length = (np.array(column, float) for column in zip(*found, strict=True))
    errors = doubt.rates(measured) * words
    priority = errors / Effort().seconds(length, errors)
    pairs = zip(errors.tolist(), priority.tolist(), strict=True)
    return [{"errors": e, "priority": p, "model": doubt.clips} for e, p in pairs]


def measure(session: Session, recording: str, usual: float, only: str | None = None) -> list[Measured]:
    """The drafts of a recording that nobody has accepted; or only one, whoever accepted it. A long one takes a second."""
    wanted = _SAID if only is None else (UtteranceRow.id == only,)
    query = sa.select(*_columns(UtteranceRow, Utterance)).where(UtteranceRow.recording == recording, *wanted)
    drafts = [Utterance.from_dict(dict(row)) for row in session.execute(query).mappings()]
    query = sa.select(*_columns(TurnRow, Turn)).where(TurnRow.recording == recording)
    turns = [Turn(**row) for row in session.execute(query.order_by(TurnRow.start)).mappings()]
    starts = np.array([turn.start for turn in turns])
    paces = [pace(draft) for draft in drafts]
    usual = float(np.median(paces)) if len(paces) >= FEWEST_PACES else usual
    found: dict[str, Measured] = {}
    for draft in sorted(drafts, key=lambda draft: draft.start):
        near = _near(turns, starts, draft)
        row = Measured(
            draft.clip or draft.id,
            draft.id,
            draft.text,
            features(draft, near, usual).tolist(),
            length_in_words(draft.text),
            draft.end - draft.start,
        )
        found.setdefault(row.clip, row)
    return list(found.values())


def _near(turns: list[Turn], starts: np.ndarray, draft: Utterance) -> list[Turn]:
    """The turns around a draft, of all in order of time: the longest lasts less than two minutes before it matters."""
    low, high = np.searchsorted(starts, [draft.start - 120.0, draft.end + 2.0])
    return turns[low:high]


def _usual_pace(database: Database) -> float:
    row = UtteranceRow
    query = sa.select(sa.func.length(row.text) / (row.end - row.start)).where(row.text != "").limit(SAMPLE)
    with database.session() as session:
        paces = session.scalars(query).all()
    return float(np.median(paces)) if paces else USUAL_PACE


def _out_of_date(database: Database) -> Iterator[str]:
    """Recordings with drafts that are not in the queue, or rows whose draft is not there any more."""
    stale = sa.select(QueueRow.recording).where(QueueRow.utterance.is_(None)).distinct()
    with database.session() as session:
        yield from session.scalars(stale).all()
    last = ""
    clip = sa.func.coalesce(UtteranceRow.clip, UtteranceRow.id)
    missing = ~sa.exists().where(QueueRow.clip == clip)
    while True:
        with database.session() as session:
            page = sa.select(RecordingRow.id).where(RecordingRow.id > last).order_by(RecordingRow.id)
            recordings = session.scalars(page.limit(RECORDINGS)).all()
            new = sa.select(UtteranceRow.recording).where(UtteranceRow.recording.in_(recordings), *_SAID)
            found = session.scalars(new.where(missing).distinct()).all() if recordings else []
        if not recordings:
            return
        yield from found
        last = recordings[-1]


def _fill(database: Database, recording: str, doubt: Doubt, usual: float) -> int:
    """Write the rows of a recording's drafts; what changed since they were measured is left for the next time."""
    with database.session() as session:
        measured = measure(session, recording, usual)
    rows = [
        {"clip": m.clip, "recording": recording, "utterance": m.utterance, "features": m.features}
        | {"words": m.words, "length": m.length, **weights}
        for m, weights in zip(
            measured, weighed(doubt, [(m.features, m.words, m.length) for m in measured]), strict=True
        )
    ]
    with database.session() as session:
        lock(session, [recording])
        texts = sa.select(UtteranceRow.id, UtteranceRow.text).where(UtteranceRow.recording == recording)
        now = {row.id: row.text for row in session.execute(texts.where(*_SAID))}
        rows = [row for row, m in zip(rows, measured, strict=True) if now.get(m.utterance) == m.text]
        if rows:
            _put(session, rows)
        session.execute(
            sa.delete(QueueRow).where(QueueRow.recording == recording, QueueRow.utterance.is_(None))
        )
    return len(rows)


def _put(session: Session, rows: list[dict[str, Any]]) -> None:
    """Who waits for a clip, and who has it open, stays as it was."""
    insert: Any = postgresql.insert if is_postgresql(session) else sqlite.insert
    statement = insert(QueueRow)
    anew = {name: statement.excluded[name] for name in rows[0] if name != "clip"}
    session.execute(statement.on_conflict_do_update(index_elements=["clip"], set_=anew), rows)


def _weigh(database: Database, doubt: Doubt) -> int:
    """Weigh some rows that were weighed by another doubt; how many. Rows that are being saved come later: nobody waits."""
    query = sa.select(QueueRow.clip, QueueRow.features, QueueRow.words, QueueRow.length)
    other = sa.or_(QueueRow.model < doubt.clips, QueueRow.model > doubt.clips)
    with database.session() as session:
        rows = session.execute(query.where(other).limit(ROWS).with_for_update(skip_locked=True)).all()
        weights = weighed(doubt, [(found, words, length) for _, found, words, length in rows])
        changes = [{"weighed": row[0], **new} for row, new in zip(rows, weights, strict=True)]
        if changes:  # of the table: some rows may have gone meanwhile, which the class takes for a fault
            table: Any = QueueRow.__table__
            update = sa.update(table).where(table.c.clip == sa.bindparam("weighed"))
            session.connection().execute(update, changes)
    return len(rows)


def _columns(row: Any, record: Any) -> list[Any]:
    return [getattr(row, name) for name in record.__dataclass_fields__]


def blank(recording: str, clip: str, length: float) -> QueueRow:
    """A row for a clip that was not measured yet: the next `refresh` does it."""
    nothing = [0.0] * len(FEATURES)
    return QueueRow(
        clip=clip,
        recording=recording,
        features=nothing,
        words=0,
        length=length,
        errors=0.0,
        priority=0.0,
        model=0,
    )
