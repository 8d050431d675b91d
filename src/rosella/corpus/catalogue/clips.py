"""Clips as the catalogue has them: what people made of them, else what the machine says now."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rosella.corpus.catalogue.names import Names
from rosella.corpus.catalogue.rows import to_turns, to_utterance
from rosella.corpus.catalogue.tables import CorrectionRow, RecordingRow, TurnRow, UtteranceRow
from rosella.corpus.corrections.clip import OF_PEOPLE, AnnotatedClip, ClipState, is_of_people
from rosella.corpus.corrections.cutting import rejects_of, utterances_of
from rosella.corpus.corrections.opening import open_clip
from rosella.errors import UserError
from rosella.records import Reject, Turn, Utterance

_CLIP = re.compile(r"([0-9a-f]{32})-\d{8,12}-\d{8,12}")


@dataclass(frozen=True)
class Opened:
    """A clip, and the utterance its draft was made from, with the machine's names of speakers; `name` gives the clip's."""

    clip: AnnotatedClip
    drafted: Utterance
    names: Names
    name: Callable[[str], str]

    @property
    def utterances(self) -> list[Utterance]:
        return utterances_of(self.clip, self.drafted, self.name)

    @property
    def rejects(self) -> list[Reject]:
        return rejects_of(self.clip)


def recording_of(clip: str) -> str:
    """The recording of a clip; a UserError where it can be no clip's id."""
    match = _CLIP.fullmatch(clip)
    if match is None:
        raise _absent(clip)
    return match[1]


def opened(session: Session, clip: str, names: Names | None = None) -> Opened:
    """A clip as it is now; also by the id of an utterance that was made from it. A UserError where there is none."""
    recording = recording_of(clip)
    names = names or Names.read(session, recording)
    rows = sa.select(CorrectionRow).where(CorrectionRow.clip == clip).order_by(CorrectionRow.version.desc())
    latest = session.scalars(rows.limit(1)).first()
    if latest is not None:
        drafting = session.scalars(rows.where(CorrectionRow.utterance.is_not(None)).limit(1)).one()
        corrected = _corrected(latest, drafting, names)
        if is_of_people(corrected.clip.state, corrected.clip.draft):
            return corrected
    utterance = session.get(UtteranceRow, clip)
    if utterance is None:
        raise _absent(clip)
    if utterance.transcript_source in OF_PEOPLE:
        assert utterance.clip is not None
        return opened(session, utterance.clip, names)
    return _live(session, to_utterance(utterance), latest, names)


def _corrected(latest: CorrectionRow, drafting: CorrectionRow, names: Names) -> Opened:
    """A clip as its rows tell it: the latest, and the one that still found the machine's words."""
    assert latest.clip is not None and latest.version is not None and drafting.utterance is not None
    drafted = from_json(drafting.utterance)
    clip = AnnotatedClip(
        latest.clip,
        latest.recording,
        latest.version,
        names.state(ClipState.from_dict(latest.after), latest.number),
        names.state(ClipState.from_dict(drafting.before).unjudged, drafting.number),
        drafted.confidence,
        drafted.transcript_source,
    )
    return Opened(clip, drafted, names, names.drafted(drafting.number))


def _live(session: Session, utterance: Utterance, latest: CorrectionRow | None, names: Names) -> Opened:
    """A clip whose words are the machine's, and so change with it; what was remarked on it stays."""
    draft = names.state(open_clip(utterance, _heard(session, utterance)))
    state, version = draft, 0
    if latest is not None:
        said = ClipState.from_dict(latest.after)
        state = replace(draft, verdict=said.verdict, reason=said.reason, comment=said.comment)
        version = latest.version or 0
    clip = AnnotatedClip(
        utterance.id,
        utterance.recording,
        version,
        state,
        draft,
        utterance.confidence,
        utterance.transcript_source,
    )
    return Opened(clip, utterance, names, names.now)


def _heard(session: Session, utterance: Utterance) -> list[Turn]:
    """The turns that reach into an utterance: they share next to nothing, so of those before it only the last can."""
    of_it = sa.select(TurnRow).where(TurnRow.recording == utterance.recording)
    before = of_it.where(TurnRow.start <= utterance.start).order_by(TurnRow.start.desc()).limit(2)
    inside = of_it.where(TurnRow.start > utterance.start, TurnRow.start < utterance.end).order_by(
        TurnRow.start
    )
    return to_turns([*session.scalars(before).all()[::-1], *session.scalars(inside)])


def all_corrected(session: Session, recording: str, names: Names) -> list[Opened]:
    """Every clip of a recording that people have touched, as the rows tell it."""
    query = (
        sa.select(CorrectionRow)
        .where(CorrectionRow.recording == recording, CorrectionRow.clip.is_not(None))
        .order_by(CorrectionRow.clip, CorrectionRow.version)
    )
    latest: dict[str | None, CorrectionRow] = {}
    drafting: dict[str | None, CorrectionRow] = {}
    for row in session.scalars(query):
        latest[row.clip] = row
        if row.utterance is not None:
            drafting[row.clip] = row
    found = (_corrected(row, drafting[clip], names) for clip, row in latest.items())
    return [clip for clip in found if clip.clip.state != clip.clip.draft]


def settled_span(clip: AnnotatedClip) -> tuple[float, float]:
    """What of a recording a person has settled with a clip, seconds: its turns and those of the draft.

    Edges that were moved outward count; where they were not, the silence around the turns is the neighbours' as well.
    """
    state, draft = clip.state, clip.draft
    starts = [turn.start for turn in (*state.turns, *draft.turns)] or [state.start]
    ends = [turn.end for turn in (*state.turns, *draft.turns)] or [state.end]
    start, end = min(starts), max(ends)
    return (
        min(start, state.start) if state.start < draft.start else start,
        max(end, state.end) if state.end > draft.end else end,
    )


def limits(session: Session, clip: AnnotatedClip) -> tuple[float, float]:
    """Between which moments (seconds) the edges of a clip may move: those of its neighbours."""
    middle = (clip.state.start + clip.state.end) / 2
    row = UtteranceRow
    others = sa.select(row.start, row.end).where(
        row.recording == clip.recording, row.id != clip.id, sa.func.coalesce(row.clip, "") != clip.id
    )
    before = session.execute(others.where(row.start <= middle).order_by(row.start.desc()).limit(1)).first()
    after = session.execute(others.where(row.start > middle).order_by(row.start).limit(1)).first()
    duration = session.get_one(RecordingRow, clip.recording).duration
    low = min(before.end, clip.state.start) if before else 0.0
    high = max(after.start, clip.state.end) if after else max(duration, clip.state.end)
    return low, high


def to_json(utterance: Utterance) -> dict[str, object]:
    return {**utterance.to_dict(), "speakers": list(utterance.speakers)}


def from_json(values: dict[str, object]) -> Utterance:
    stored = Utterance.from_dict(values)
    return replace(stored, speakers=tuple(stored.speakers))


def _absent(clip: str) -> UserError:
    return UserError(f"There is no clip {clip!a:.80}: it was removed or cut anew; go on with another.")
