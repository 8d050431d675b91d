"""From rows to records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rosella.corpus.catalogue.tables import MANIFEST, RecordingRow, TurnRow, UtteranceRow
from rosella.records import Recording, Turn, Utterance


def to_recording(row: RecordingRow) -> Recording:
    return Recording.from_dict(_columns(row))


def to_utterance(row: UtteranceRow) -> Utterance:
    return Utterance.from_dict({**_columns(row), "speakers": tuple(row.speakers)})


def to_turns(rows: Iterable[TurnRow]) -> list[Turn]:
    return [Turn.from_dict(_columns(row)) for row in rows]


def utterance_row(utterance: Utterance) -> UtteranceRow:
    return UtteranceRow(**{**utterance.to_dict(), "speakers": list(utterance.speakers)})


def turns_of(session: Session, recording: str, origin: str | None = MANIFEST) -> list[Turn]:
    """In order of time; those of one origin, or, with None, all."""
    query = sa.select(TurnRow).where(TurnRow.recording == recording).order_by(TurnRow.number)
    if origin is not None:
        query = query.where(TurnRow.origin == origin)
    return to_turns(session.scalars(query))


def utterances_of(session: Session, recording: str) -> list[Utterance]:
    """In order of time."""
    query = sa.select(UtteranceRow).where(UtteranceRow.recording == recording).order_by(UtteranceRow.start)
    return [to_utterance(row) for row in session.scalars(query)]


def _columns(row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in sa.inspect(row).mapper.column_attrs}
