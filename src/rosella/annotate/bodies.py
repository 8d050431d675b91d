"""What requests about clips hold, and what they are answered: clips as the page has them."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import Header
from pydantic import BaseModel, Field

from rosella.annotate import queue, twice
from rosella.annotate.desk import Desk
from rosella.annotate.sessions import Visitor
from rosella.corpus.catalogue import corrections
from rosella.corpus.corrections.clip import AnnotatedClip, ClipState, Verdict
from rosella.records import Turn

Key = Annotated[str, Header(alias="Idempotency-Key", pattern="^[!-~]{1,64}$")]
"""Tells a request that is sent again from another one."""

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_MOST_TURNS = 1000


class GivenTurn(BaseModel):
    start: Seconds
    end: Seconds
    speaker: str
    text: str
    text_clean: str | None = None
    overlap: bool = False

    @property
    def turn(self) -> Turn:
        return Turn(**self.model_dump())


class GivenState(BaseModel):
    start: Seconds
    end: Seconds
    turns: Annotated[list[GivenTurn], Field(max_length=_MOST_TURNS)]
    verdict: Verdict | None = None
    reason: str | None = None
    comment: str | None = None

    @property
    def state(self) -> ClipState:
        turns = tuple(turn.turn for turn in self.turns)
        return ClipState(self.start, self.end, turns, self.verdict, self.reason, self.comment)


class Saved(BaseModel):
    version: Annotated[int, Field(ge=0, lt=2**31)]
    state: GivenState
    action: Literal["accept", "edit", "reject", "comment", "second"]
    seconds: Seconds | None = None


def view(desk: Desk, found: AnnotatedClip, visitor: Visitor) -> dict[str, Any]:
    """A clip with all that the page shows of it to a visitor."""
    clip = twice.seen_by(desk.catalogue, found, visitor.name)
    recording = desk.catalogue.get(clip.recording)
    start, end = span(desk, clip, recording.duration)
    low, high = corrections.bounds(desk.catalogue, clip.id)
    expected = queue.about(desk.catalogue, clip.id, visitor.name)
    address = f"/api/clips/{quote(clip.id)}"
    return {
        "id": clip.id,
        "recording": clip.recording,
        "title": PurePath(recording.path).name,
        "show": recording.show,
        "language": recording.language,
        "version": clip.version,
        "state": clip.state.to_dict(),
        "draft": clip.draft.to_dict(),
        "source": clip.source,
        "confidence": clip.confidence,
        "empty": expected is not None and expected.empty,
        "speakers": corrections.speakers(desk.catalogue, clip.recording),
        "limits": {"start": low, "end": high},
        "audio": {
            "start": start,
            "end": end,
            "url": f"{address}/audio?version={clip.version}",
            "peaks_url": f"{address}/peaks?version={clip.version}",
        },
        "expected": expected and {"errors": expected.expected_errors, "seconds": expected.expected_seconds},
        "why": expected.why if expected else [],
        "people": desk.hub.people(clip.id, visitor.name),
        "history": [
            {"number": row.number, "action": row.action, "author": row.author, "at": row.at}
            | {"version": row.version, "batch": row.batch}
            for row in corrections.history(desk.catalogue, clip=clip.id)
            if (row.version or 0) <= clip.version  # who reads a clip as the second sees nothing of the first
        ],
    }


def span(desk: Desk, clip: AnnotatedClip, duration: float) -> tuple[float, float]:
    """The sound that belongs to a clip: all of it and a little around, seconds of the recording."""
    start, end = min(clip.state.start, clip.draft.start), max(clip.state.end, clip.draft.end)
    return round(max(0.0, start - desk.limits.around), 3), round(min(duration, end + desk.limits.around), 3)
