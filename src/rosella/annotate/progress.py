"""How far the work is, how well people agree, and both as tables for other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rosella.annotate.effort import Effort
from rosella.annotate.queue import known_effort
from rosella.corpus.catalogue.annotating import SECOND, WAITING, JudgedRow, QueueRow, ReadingRow
from rosella.corpus.catalogue.corrections import Correction, history
from rosella.corpus.catalogue.database import Database
from rosella.records import Record

KINDS: tuple[str, ...] = ("substituted", "inserted", "deleted", "speaker", "times")
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet would take for a formula."""

ROWS = 500


@dataclass(frozen=True)
class Hours(Record):
    """Of audio: judged, waiting, and both together."""

    done: float
    left: float
    all: float


@dataclass(frozen=True)
class Person(Record):
    """Clips whose verdict is this person's, their hours, and seconds of all work on one and on a second of audio."""

    name: str
    clips: int
    hours: float
    seconds_per_clip: float | None
    seconds_per_second: float | None


@dataclass(frozen=True)
class Together(Record):
    """Clips that two people read, the share of words they have in common, and of time with the same speakers."""

    pairs: int
    word_agreement: float | None
    speakers: float | None


@dataclass(frozen=True)
class Progress(Record):
    """What a project's work on clips amounts to. `kinds` counts errors, `errors_per_hour` is of work."""

    hours: Hours
    people: list[Person]
    agreement: Together
    kinds: dict[str, int]
    errors_per_hour: float | None
    hours_left_of_work: float


def progress(database: Database) -> Progress:
    """As of now; a second where a million clips wait."""
    with database.session() as session:
        people = _people(session)
        done = sum(person.hours for person in people)
        clips, errors, length = _left(session)
        kinds, found, seconds = _found(session)
        pace = _pace(session, people)
        return Progress(
            Hours(done, length / 3600, done + length / 3600),
            people,
            _together(session),
            kinds,
            3600 * found / seconds if seconds else None,
            float(pace[0] * length + pace[1] * errors + pace[2] * clips) / 3600,
        )


def history_csv(database: Database) -> Iterator[str]:
    """Lines of every correction, in their order: who changed what from what."""
    header = [
        *("number", "at", "author", "action", "recording", "clip", "version", "seconds", "batch"),
        *("verdict", "reason", "comment", "before", "after"),
    ]
    return _csv(header, map(_correction, history(database)))


def agreement_csv(database: Database) -> Iterator[str]:
    """Lines of every clip that two people read: how far they agree, and what each wrote."""
    header = [
        *("clip", "recording", "first", "second", "at", "seconds_of_audio", "seconds_of_work"),
        *("words", "word_edits", "word_agreement", "speaker_agreement", "first_text", "second_text"),
    ]
    return _csv(header, _readings(database))


def _people(session: Session) -> list[Person]:
    row = JudgedRow
    timed = row.seconds.is_not(None)
    query = (
        sa.select(
            row.author,
            sa.func.count(),
            sa.func.sum(row.length),
            sa.func.avg(row.seconds),
            sa.func.sum(row.seconds) / sa.func.sum(sa.case((timed, row.length))),
        )
        .group_by(row.author)
        .order_by(row.author)
    )
    return [
        Person(name, clips, length / 3600, a_clip, a_second)
        for name, clips, length, a_clip, a_second in session.execute(query)
    ]


def _left(session: Session) -> tuple[int, float, float]:
    """Clips that wait, the errors expected in them, and their seconds."""
    sums = sa.func.sum(QueueRow.errors), sa.func.sum(QueueRow.length)
    query = sa.select(sa.func.count(), *sums).where(QueueRow.kind.in_([WAITING, SECOND]))
    clips, errors, length = session.execute(query).one()
    return clips, errors or 0.0, length or 0.0


def _found(session: Session) -> tuple[dict[str, int], float, float]:
    """Errors by kind, those whose work was timed, and its seconds."""
    columns = {kind: getattr(JudgedRow, kind) for kind in KINDS}
    errors = sum(columns[kind] for kind in KINDS if kind != "times")
    timed = sa.case((JudgedRow.seconds.is_not(None), errors))
    sums = [sa.func.sum(column) for column in (*columns.values(), timed, JudgedRow.seconds)]
    *kinds, found, seconds = (value or 0 for value in session.execute(sa.select(*sums)).one())
    return dict(zip(KINDS, map(int, kinds), strict=True)), found, seconds


def _pace(session: Session, people: Sequence[Person]) -> Any:
    """Weights of effort of all people, each counting by the clips done."""
    clips = sum(person.clips for person in people)
    weights = [known_effort(session, person.name).weights * person.clips / clips for person in people]
    return sum(weights) if weights else Effort().weights


def _together(session: Session) -> Together:
    row = ReadingRow
    sums = [sa.func.sum(column) for column in (row.words, row.edits, row.seconds, row.agreed)]
    query = sa.select(sa.func.count(), *sums).where(row.at.is_not(None))
    pairs, words, edits, seconds, agreed = tuple(session.execute(query).one())
    return Together(int(pairs), 1 - edits / words if words else None, agreed / seconds if seconds else None)


def _correction(row: Correction) -> list[object]:
    after = row.after
    remarks = [after.get(name) for name in ("verdict", "reason", "comment")]
    facts = [row.number, _when(row.at), row.author, row.action, row.recording, row.clip, row.version]
    return [*facts, row.seconds, row.batch, *remarks, _text(row.before), _text(after)]


def _readings(database: Database) -> Iterator[list[object]]:
    row = ReadingRow
    query = sa.select(row).where(row.at.is_not(None)).order_by(row.at, row.clip)
    with database.long_session() as session:
        for r in session.scalars(query.execution_options(yield_per=ROWS)):
            words = 1 - r.edits / r.words if r.words else None
            speakers = r.agreed / r.seconds if r.seconds else None
            facts = [r.clip, r.recording, r.first, r.author, _when(r.at or 0.0), r.length, r.work]
            yield [*facts, r.words, r.edits, words, speakers, _text(r.other), _text(r.state)]


def _text(state: dict[str, Any]) -> str:
    """What a state says, a line for each turn; or the name of a speaker."""
    if "turns" not in state:
        return state["speaker"]
    lines = (f"{t['start']:.3f} {t['end']:.3f} {t['speaker']}: {t['text']}" for t in state["turns"])
    return "\n".join(lines)


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield _line(header)
    for row in rows:
        yield _line(row)


def _line(row: Sequence[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([_plain(cell) for cell in row])
    return line.getvalue()


def _plain(cell: object) -> object:
    """A text that no spreadsheet computes; numbers are rounded to what is known of them."""
    if isinstance(cell, float):
        return round(cell, 3)
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULAS) else cell
