"""Which lines and notes of a file belong to which clip, by time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rosella.annotate.exchange.sheet import Line, Note, milliseconds, shared
from rosella.corpus.corrections.clip import ClipState


@dataclass(frozen=True)
class Room:
    """The span of a clip, and from where to where its turns may reach without touching another clip; milliseconds."""

    span: Note
    low: int
    high: int


@dataclass
class Placed:
    """The lines of each clip, by its place. `outside` many lie in no clip, `cut` many reached into another clip."""

    lines: list[list[Line]]
    outside: int = 0
    cut: int = 0


def rooms(clips: Sequence[ClipState], duration: int) -> list[Room]:
    """The room of each of the clips, which are in order of time, of a recording that lasts `duration`."""
    spans = [Note(milliseconds(clip.start), milliseconds(clip.end), "") for clip in clips]
    lows = [0, *(span.end for span in spans)]
    highs = [*(span.start for span in spans[1:]), duration]
    return [
        Room(span, min(low, span.start), max(high, span.end))
        for span, low, high in zip(spans, lows, highs, strict=False)
    ]


def place(lines: Iterable[Line], rooms: Sequence[Room]) -> Placed:
    """Each line to the clip with which it shares most time, and cut where it reaches into another."""
    placed = Placed([[] for _ in rooms])
    for line in lines:
        clip = _clip(line, rooms)
        if clip is None:
            placed.outside += 1
            continue
        start, end = max(line.start, rooms[clip].low), min(line.end, rooms[clip].high)
        placed.cut += (start, end) != (line.start, line.end)
        placed.lines[clip].append(replace(line, start=start, end=end))
    return placed


def texts(notes: Iterable[Note], rooms: Sequence[Room]) -> list[tuple[str, int]]:
    """What the notes say about each clip, and where (ms) the first of them is."""
    said: list[list[Note]] = [[] for _ in rooms]
    for note in notes:
        clip = _clip(note, rooms)
        if note.text and clip is not None:
            said[clip].append(note)
    return [(" ".join(note.text for note in about), about[0].start if about else 0) for about in said]


def _clip(span: Line | Note, rooms: Sequence[Room]) -> int | None:
    """The clip that shares most time with a span; None where none does."""
    place = max(bisect_right(rooms, span.start, key=lambda room: room.span.start) - 1, 0)
    near: list[int] = []
    while place < len(rooms) and rooms[place].span.start < span.end:
        near.append(place)
        place += 1
    best = max(near, key=lambda clip: shared(rooms[clip].span, span), default=None)
    return best if best is not None and shared(rooms[best].span, span) > 0 else None
