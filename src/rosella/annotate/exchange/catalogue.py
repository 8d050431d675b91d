"""The recordings and clips that files are written of and read into."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rosella.annotate.exchange.sheet import Mark, Sheet
from rosella.corpus.catalogue.clips import Opened, opened
from rosella.corpus.catalogue.names import Names
from rosella.corpus.catalogue.tables import CorrectionRow, RecordingRow, UtteranceRow
from rosella.corpus.corrections.clip import ClipState
from rosella.errors import UserError

_UPLOADED = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the name of a file that is uploaded."""

_LONGEST_NAME = 80


@dataclass(frozen=True)
class Place:
    """A recording, where its audio is, how long it lasts (seconds) and its language."""

    id: str
    path: str
    duration: float
    language: str | None

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    def file_name(self, corrections: int, suffix: str) -> str:
        """A name that is safe everywhere and no other recording's, and tells what the file was written of."""
        safe = re.sub(r"[^\w.-]+", "_", PurePosixPath(self.path).stem).strip("._-")
        while len(safe.encode()) > _LONGEST_NAME:
            safe = safe[:-1]
        return f"{safe or 'recording'}-{Mark(self.id, corrections)}{suffix}"


def places(session: Session) -> list[Place]:
    """Every recording of the corpus, by path."""
    row = RecordingRow
    query = sa.select(row.id, row.path, row.duration, row.language).order_by(row.path)
    return [Place(*values) for values in session.execute(query)]


def named(places: Sequence[Place], name: str) -> Place:
    """The recording that goes by an id, a path or a file name."""
    exact = [place for place in places if name == place.id or place.path in (name, os.path.abspath(name))]
    return _one(exact or [place for place in places if place.name == name], name)


def found(places: Sequence[Place], sheet: Sheet, file: Path) -> Place:
    """The recording a sheet is of: by its mark, the name of its audio, else the name of its file."""
    if sheet.mark and (marked := [p for p in places if p.id.startswith(sheet.mark.recording)]):
        return _one(marked, file.name)
    names = {_base(address) for address in sheet.media}
    names |= {_UPLOADED.sub("", name) for name in names}
    if heard := [place for place in places if place.name in names]:
        whole = [place for place in heard if any(place.path in unquote(address) for address in sheet.media)]
        return _one(whole or heard, file.name)
    stems = {PurePosixPath(name).stem for name in names if name} or {file.stem}
    return _one([p for p in places if PurePosixPath(p.name).stem in stems | {file.stem}], file.name)


def _base(address: str) -> str:
    """The name of a file at the end of a path of any system, a URL, or Label Studio's address of a local file."""
    parts = urlsplit(address)
    path = parts.query.removeprefix("d=") if parts.query.startswith("d=") else parts.path or address
    return re.split(r"[/\\]", unquote(path))[-1]


def _one(fitting: Sequence[Place], name: str) -> Place:
    if not fitting:
        raise UserError(
            f"no recording of the corpus goes by {name}: name the file as the audio, or let it name the audio"
        )
    if len(fitting) > 1:
        raise UserError(
            f"{len(fitting)} recordings fit, {fitting[0].path} first: name its whole path, or its id, in the file"
        )
    return fitting[0]


def clips(session: Session, recording: str) -> list[Opened]:
    """All clips of a recording in order of time, also those that people rejected."""
    names = Names.read(session, recording)
    row = UtteranceRow
    of_utterances = sa.select(sa.func.coalesce(row.clip, row.id)).where(row.recording == recording)
    corrected = sa.select(CorrectionRow.clip).where(
        CorrectionRow.recording == recording, CorrectionRow.clip.is_not(None)
    )
    ids = dict.fromkeys([*session.scalars(of_utterances), *session.scalars(corrected)])
    there = (_opened(session, clip, names) for clip in ids if clip)
    return sorted((one for one in there if one), key=lambda one: one.clip.state.start)


def _opened(session: Session, clip: str, names: Names) -> Opened | None:
    try:
        return opened(session, clip, names)
    except UserError:  # its utterance was cut anew, and what was said of it was no more than a remark
        return None


def as_of(session: Session, recording: str, clips: Iterable[Opened], corrections: int) -> list[ClipState]:
    """The clips, by the present names of their speakers, as they were after the correction of that number."""
    row = CorrectionRow
    query = (
        sa.select(row.clip, row.number, row.after)
        .where(row.recording == recording, row.clip.is_not(None))
        .order_by(row.number)
    )
    rows: dict[str, list[tuple[int, ClipState]]] = {}
    for clip, number, after in session.execute(query):
        rows.setdefault(clip or "", []).append((number, ClipState.from_dict(after)))
    return [_then(one, rows.get(one.clip.id, []), corrections) for one in clips]


def _then(one: Opened, rows: Sequence[tuple[int, ClipState]], corrections: int) -> ClipState:
    before = [(number, state) for number, state in rows if number <= corrections]
    if len(before) == len(rows):
        return one.clip.state
    return one.names.state(before[-1][1], before[-1][0]) if before else one.clip.draft
