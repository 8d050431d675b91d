"""Finding words and speakers in all clips of a catalogue."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rosella.corpus.catalogue.clips import opened
from rosella.corpus.catalogue.database import Database
from rosella.corpus.catalogue.names import Names, renamed_in
from rosella.corpus.catalogue.tables import UtteranceRow
from rosella.errors import UserError


@dataclass(frozen=True)
class Found:
    """A turn of a clip, by its number from 0, in which something was found; times in seconds."""

    clip: str
    recording: str
    start: float
    end: float
    turn: int
    text: str


def pattern(text: str, whole_words: bool, case: bool) -> re.Pattern[str]:
    """What finds a text in a turn; with `whole_words` no letter or digit stands beside it."""
    escaped = re.escape(text)
    whole = rf"(?<!\w){escaped}(?!\w)" if whole_words and text else escaped
    return re.compile(whole, 0 if case else re.IGNORECASE)


def search(
    database: Database, text: str, speaker: str | None, whole_words: bool, case: bool, limit: int
) -> list[Found]:
    """The first `limit` turns that say a text, verbatim or clean, in the order of the recordings; of a speaker, where one is
    named, all turns where the text is empty. A UserError where there is nothing to look for."""
    if not text.isprintable() or not (text.strip() or speaker):
        raise UserError("There is nothing to look for: give words, or a speaker.")
    wanted, found = pattern(text, whole_words, case), list[Found]()
    with database.snapshot() as session:
        for clip in _clips(session, text, speaker):
            found += _in_clip(session, clip, wanted, speaker)
            if len(found) >= limit:
                break
    return found[:limit]


def _clips(session: Session, text: str, speaker: str | None) -> Iterator[str]:
    """Ids of clips in which the text may be found, each once."""
    row = UtteranceRow
    like = f"%{''.join(map(_likened, text))}%"
    query = (
        sa.select(row.id, row.clip)
        .where(sa.or_(row.text.ilike(like, escape="/"), row.text_clean.ilike(like, escape="/")))
        .order_by(row.recording, row.start)
    )
    if speaker is not None:
        named = sa.cast(row.speakers, sa.Text).contains(json.dumps(speaker), autoescape=True)
        query = query.where(sa.or_(named, row.recording.in_(_where_called(session, speaker))))
    seen: set[str] = set()
    for id, clip in session.execute(query).all():
        if (name := clip or id) not in seen:
            seen.add(name)
            yield name


def _likened(character: str) -> str:
    """What stands for a character in a pattern of the database, which may not know upper and lower case beyond ASCII."""
    if not character.isascii():
        return "_"
    return f"/{character}" if character in "%_/" else character


def _where_called(session: Session, speaker: str) -> list[str]:
    """The recordings in which people call somebody so."""
    return [
        recording
        for recording in renamed_in(session)
        if any(renaming.after == speaker for renaming in Names.read(session, recording).holding())
    ]


def _in_clip(session: Session, clip: str, wanted: re.Pattern[str], speaker: str | None) -> list[Found]:
    now = opened(session, clip).clip
    return [
        Found(now.id, now.recording, turn.start, turn.end, number, turn.text)
        for number, turn in enumerate(now.state.turns)
        if speaker in (None, turn.speaker)
        and (wanted.search(turn.text) or wanted.search(turn.text_clean or ""))
    ]
