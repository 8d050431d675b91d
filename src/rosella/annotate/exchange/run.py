"""A corpus into files, and files into corrections of a corpus: all of a file or nothing of it."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rosella.annotate import queue
from rosella.annotate.exchange import formats, labelstudio
from rosella.annotate.exchange.catalogue import Place, as_of, clips, found, named, places
from rosella.annotate.exchange.formats import FORMATS, Format
from rosella.annotate.exchange.merging import Dialect, Known, Merged, merge
from rosella.annotate.exchange.sheet import OVERLAP, Mark, Note, Sheet, folded, milliseconds, verdict_text
from rosella.audio import is_url
from rosella.corpus.catalogue import corrections
from rosella.corpus.catalogue.clips import Opened, limits
from rosella.corpus.catalogue.corrections import Change, Stale
from rosella.corpus.catalogue.database import Database
from rosella.corpus.catalogue.tables import CorrectionRow
from rosella.corpus.corrections.clip import AnnotatedClip, ClipState, checked
from rosella.corpus.disfluencies import fillers, remove_disfluencies
from rosella.errors import UserError
from rosella.files import write_text

SHOWN = 5


def export(database: Database, format: str, out: Path, name: str | None = None) -> Iterator[Path]:
    """Write a file for each recording, or for the one of that name, into `out`; each path when it is written."""
    with database.long_session() as session:
        chosen = places(session)
    speakers: dict[str, None] = {}
    for place in chosen if name is None else [named(chosen, name)]:
        with database.long_session() as session:
            sheet = _written(session, place, FORMATS[format], out)
        if sheet.comments:  # without clips there is nothing to write
            path = out / place.file_name(sheet.mark.corrections if sheet.mark else 0, FORMATS[format].suffix)
            write_text(path, FORMATS[format].write(sheet))
            speakers |= dict.fromkeys(sheet.by_speaker())
            yield path
    if format == "labelstudio" and speakers:
        write_text(out / labelstudio.CONFIGURATION, labelstudio.configuration(speakers | {OVERLAP: None}))
        yield out / labelstudio.CONFIGURATION


def _written(session: Session, place: Place, format: Format, out: Path) -> Sheet:
    number = _newest(session)
    opened = clips(session, place.id)
    states = as_of(session, place.id, opened, number)
    has_clean = any(turn.text_clean for state in states for turn in state.turns)
    lines = Dialect.of(format, states, has_clean, str).lines(states)
    spans = [(milliseconds(state.start), milliseconds(state.end)) for state in states]
    return Sheet(
        media=("" if is_url(place.path) else os.path.relpath(place.path, out), place.path),
        lines=tuple(sorted(lines, key=lambda line: (line.start, line.end))),
        verdicts=tuple(Note(*span, verdict_text(s)) for span, s in zip(spans, states, strict=True)),
        comments=tuple(Note(*span, folded(s.comment)) for span, s in zip(spans, states, strict=True)),
        has_clean=has_clean,
        mark=Mark(place.id, number),
        duration=milliseconds(place.duration),
    )


def _newest(session: Session) -> int:
    return session.scalar(sa.select(sa.func.max(CorrectionRow.number))) or 0


@dataclass
class Imported:
    """What became of a file: `changed` clips, and the undoable `batch` in which they were; the rest as in `Merged`."""

    file: Path
    changed: int = 0
    batch: str | None = None
    merged: list[Merged] = field(default_factory=list)

    def count(self, what: str) -> int:
        """The sum over the recordings of a file of a number of `Merged`."""
        return sum(getattr(merged, what) for merged in self.merged)


def import_files(database: Database, source: Path, author: str) -> Iterator[Imported]:
    """Make corrections of a file or of all files in a folder, each a batch of its own; what became of each file.

    All are read and checked before the first is stored. A UserError names those in which something is wrong.
    """
    files = list(formats.files(source))
    problems: list[str] = []
    for file in files:
        try:
            _planned(database, file)
        except UserError as error:
            problems.append(f"{file.name}: {str(error).rstrip('.')}")
    if problems:
        more = f"; and {len(problems) - SHOWN} more, which --debug lists" if len(problems) > SHOWN else ""
        listed = "; ".join(problems[:SHOWN])
        raise UserError(f"Nothing was imported: {listed}{more}. Correct and import again.", problems)
    for file in files:
        yield _import(database, file, author)


def _import(database: Database, file: Path, author: str) -> Imported:
    while True:
        imported, changes = _planned(database, file)
        if not changes:
            return imported
        imported.batch = str(uuid.uuid4())
        try:
            also = _settling(author)
            corrections.save(database, author, changes, _key(changes), batch=imported.batch, also=also)
            return imported
        except Stale:
            continue  # somebody has saved a clip since it was read, which is then left to them


def undo(database: Database, author: str, batch: str) -> tuple[int, int]:
    """Undo a batch: how many clips are as they were, and how many were changed since and stay. A UserError: no batch."""
    key = str(uuid.uuid4())
    undone, left = corrections.undo_batch(database, author, batch, key, also=_settling(author))
    if not undone and not left:
        raise UserError(f"No corrections were made under {batch[:40]}: give what an import printed.")
    return len(undone), left


def _settling(author: str) -> Callable[[Session, AnnotatedClip], None]:
    return lambda session, clip: queue.settle(session, clip, author)


def _key(changes: Sequence[Change]) -> str:
    said = [(change.clip, change.version, change.after.to_dict()) for change in changes]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _planned(database: Database, file: Path) -> tuple[Imported, list[Change]]:
    """What a file would change, checked; nothing is stored."""
    format, imported, changes = formats.format_of(file), Imported(file), list[Change]()
    with database.long_session() as session:
        there = places(session)
        for sheet in formats.read(file, partial(_speakers, session, there, file)):
            place = found(there, sheet, file)
            opened = clips(session, place.id)
            merged = _merged(session, place, opened, sheet, format)
            imported.merged.append(merged)
            for number, after in merged.after.items():
                changes.append(_change(session, opened[number], after))
    imported.changed = len(changes)
    return imported, changes


def _speakers(session: Session, there: Sequence[Place], file: Path, sheet: Sheet) -> Collection[str]:
    opened = clips(session, found(there, sheet, file).id)
    states = [state for one in opened for state in (one.clip.state, one.clip.draft)]
    return [*Dialect.of(FORMATS["srt"], states, False, str).written.values(), OVERLAP]


def _merged(session: Session, place: Place, opened: Sequence[Opened], sheet: Sheet, format: Format) -> Merged:
    mark = sheet.mark if sheet.mark and sheet.mark.corrections <= _newest(session) else None
    bases: Sequence[ClipState | None]
    if mark is None:
        bases = [one.clip.state if one.clip.version == 0 else None for one in opened]
    else:
        bases = as_of(session, place.id, opened, mark.corrections)
        lines = [replace(line, speaker=_now(line.speaker, opened, mark)) for line in sheet.lines]
        sheet = replace(sheet, lines=tuple(lines))
    known = [Known(one.clip, base) for one, base in zip(opened, bases, strict=True)]
    states = [state for one in known for state in (one.clip.state, one.base) if state]
    tidy = partial(remove_disfluencies, fillers=fillers(place.language))
    dialect = Dialect.of(format, states, sheet.has_clean, tidy)
    return merge(sheet, known, dialect, milliseconds(place.duration))


def _now(speaker: str | None, opened: Sequence[Opened], mark: Mark) -> str | None:
    """Who was called so when the file was written, by the present name."""
    return opened[0].names.now(speaker, mark.corrections) if speaker and opened else speaker


def _change(session: Session, one: Opened, after: ClipState) -> Change:
    """The change, if it may be made; a UserError says why not, and where."""
    known = {turn.speaker for state in (one.clip.state, one.clip.draft) for turn in state.turns}
    try:
        kept = checked(after, *limits(session, one.clip), known)
        _ = replace(one, clip=replace(one.clip, state=kept)).utterances
    except UserError as error:
        raise UserError(f"in the clip at {one.clip.state.start:.1f} s: {error}") from None
    return Change(one.clip.id, one.clip.version, kept, "import")
