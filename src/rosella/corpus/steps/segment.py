"""Turns -> utterances: cut at turn ends, at most 30 s, neighbouring turns merged into dialogue."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike

import numpy as np

from rosella import audio, dialogue
from rosella.corpus.stage import SEGMENT, Known, StageResult
from rosella.corpus.tagging import to_utterance
from rosella.errors import UserError
from rosella.records import OVERLAP_TOLERANCE, Recording, Reject, Segment, Turn, Utterance, check_turns

VERSION = "1"
MAX_SECONDS = 30.0
FASTEST = 60.0
"""Characters a second: those of the fastest speech on record, 655 words a minute of Hamlet (Sean Shannon, 1995)."""

NOBODY = "nobody was heard to speak in the whole recording"

SHORTEST = 0.1
SKIPPED_SHARE = 1 / 8
"""No more than this of a recording is skipped at either end, so that a short one does not vanish."""

_HOP, _PAUSE = 0.02, 0.2


@dataclass(frozen=True)
class Cutting:
    """How turns become utterances; all in seconds."""

    max_seconds: float = MAX_SECONDS
    max_gap: float = 2.0
    """A longer pause between two turns ends the utterance: training on it would teach silence."""
    margin: float = 0.1
    """Audio kept around the turns, since hand-set times clip onsets; it never enters a neighbouring turn."""
    min_seconds: float = SHORTEST
    skip: float = 0.0
    """Left out at both ends of a recording, where jingles and advertisements are; turns are left out whole."""

    @property
    def version(self) -> str:
        """Identifies what the segment stage does; another value makes its results stale."""
        skipped = f":{self.skip:g}" if self.skip else ""
        return (
            f"{VERSION}:{self.max_seconds:g}:{self.max_gap:g}:{self.margin:g}:{self.min_seconds:g}{skipped}"
        )


@dataclass(frozen=True)
class SegmentStage:
    """Cuts turns into utterances; those that are to be transcribed fit the recogniser's `window` of seconds.

    What people have corrected stays as it is, and the rest is cut around it.
    """

    catalogue: Known
    cutting: Cutting
    window: float | None = None
    name: str = SEGMENT

    @property
    def version(self) -> str:
        return self.cutting.version + (f":{self.window:g}" if self.window else "")

    def run(self, recording: Recording) -> StageResult:
        turns = self.catalogue.turns(recording.id, origin=None)
        cutting = self.cutting
        if self.window and not any(turn.text for turn in turns):
            cutting = replace(cutting, max_seconds=min(self.window, cutting.max_seconds))
        kept = self.catalogue.kept(recording.id)
        walls = _merged(kept.spans)
        free, rejects = _around(turns, walls)
        standing = sorted(
            [*free, *(Turn(*wall, "", "", overlap=True) for wall in walls)], key=lambda t: t.start
        )
        utterances, others = cut(recording, standing, cutting, partial(quietest, recording.audio))
        rejects += [reject for reject in others if (reject.start, reject.end) not in walls]
        return StageResult([*utterances, *kept.utterances], [*rejects, *kept.rejects])


def outside(start: float, end: float, holes: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """The parts of a span outside the holes, which are in order of time; none shorter than `SHORTEST`."""
    for low, high in holes:
        if low < end and high > start:
            if low - start >= SHORTEST:
                yield start, low
            start = max(start, high)
    if end - start >= SHORTEST:
        yield start, end


def _merged(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """In order of time, those that overlap as one."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            start, end = merged[-1][0], max(end, merged.pop()[1])
        merged.append((start, end))
    return merged


def _around(turns: Sequence[Turn], walls: Sequence[tuple[float, float]]) -> tuple[list[Turn], list[Reject]]:
    """The turns, or what of them lies outside the walls. Words cannot be divided: a turn that has some is a reject then."""
    free: list[Turn] = []
    rejects: list[Reject] = []
    for turn in turns:
        parts = list(outside(turn.start, turn.end, walls))
        inside = sum(max(0.0, min(turn.end, high) - max(turn.start, low)) for low, high in walls)
        if inside <= OVERLAP_TOLERANCE:
            free.append(turn)
        elif not turn.text:
            free += [replace(turn, start=start, end=end) for start, end in parts]
        elif parts:
            rejects.append(Reject(turn.start, turn.end, "lies partly in what a person has corrected"))
    return free, rejects


Quietest = Callable[[float, float], float]
"""The moment between two (seconds) at which a recording is quietest."""


def cut(
    recording: Recording, turns: Sequence[Turn], cutting: Cutting, quietest: Quietest
) -> tuple[list[Utterance], list[Reject]]:
    """Cut a recording into utterances. A UserError says what is wrong with its turns as a whole.

    Turns without words, which a diarizer found, are divided at pauses where they are too long; without any turn the
    recording is a reject.
    """
    if not turns:
        return [], [Reject(0.0, recording.duration, NOBODY)]
    check_turns(turns, recording.duration)
    inside = [
        part
        for turn in turns
        for part in _divided(replace(turn, end=min(turn.end, recording.duration)), cutting, quietest)
    ]
    reasons = [_unusable(turn, cutting, recording.duration) for turn in inside]
    rejects = [Reject(t.start, t.end, reason) for t, reason in zip(inside, reasons, strict=True) if reason]
    utterances = []
    for first, last in _groups(inside, reasons, cutting):
        start, end = span(inside, first, last, recording.duration, cutting)
        segment = Segment(recording.id, start, end, tuple(inside[first : last + 1]))
        utterances.append(to_utterance(segment, recording.language))
    return utterances, rejects


def _divided(turn: Turn, cutting: Cutting, quietest: Quietest) -> Iterator[Turn]:
    """The turn, or parts of it that are short enough."""
    while not turn.text and not turn.overlap and turn.end - turn.start > cutting.max_seconds:
        pause = quietest(turn.start + cutting.max_seconds / 2, turn.start + cutting.max_seconds)
        yield replace(turn, end=pause)
        turn = replace(turn, start=pause)
    yield turn


def _unusable(turn: Turn, cutting: Cutting, duration: float) -> str | None:
    length, skipped = turn.end - turn.start, min(cutting.skip, duration * SKIPPED_SHARE)
    if turn.overlap:
        return "several speak at once"
    if skipped and (turn.start < skipped or turn.end > duration - skipped):
        return f"within {cutting.skip:g} s of the recording's ends, which are skipped"
    if length > cutting.max_seconds:
        return f"turn of {length:.1f} s is longer than {cutting.max_seconds:g} s and has no times inside"
    if len(turn.text) > FASTEST * (length + 2 * cutting.margin):
        return f"{len(turn.text)} characters of text in {length:.1f} s, faster than anybody speaks"
    if length < cutting.min_seconds:
        return f"turn of {length:.2f} s is shorter than {cutting.min_seconds:g} s"
    return None


def _groups(
    turns: Sequence[Turn], reasons: Sequence[str | None], cutting: Cutting
) -> Iterator[tuple[int, int]]:
    """First and last turn of each utterance; an unusable turn ends one and belongs to none."""
    first: int | None = None
    for number, turn in enumerate(turns):
        usable = reasons[number] is None
        if first is not None and not (usable and _fits(turns[first:number], turn, cutting)):
            yield first, number - 1
            first = None
        if usable and first is None:
            first = number
    if first is not None:
        yield first, len(turns) - 1


def _fits(group: Sequence[Turn], turn: Turn, cutting: Cutting) -> bool:
    return (
        turn.end - group[0].start <= cutting.max_seconds
        and turn.start - group[-1].end <= cutting.max_gap
        and len({t.speaker for t in (*group, turn)}) <= len(dialogue.TAGS)
        and not any(dialogue.speaker_tags(t.text) for t in (*group, turn))
    )


def span(
    turns: Sequence[Turn], first: int, last: int, duration: float, cutting: Cutting
) -> tuple[float, float]:
    """Start and end with their margins, in whole milliseconds and within `max_seconds`."""
    start, end = turns[first].start, turns[last].end
    margin = min(cutting.margin, (cutting.max_seconds - (end - start)) / 2)
    before = turns[first - 1].end if first else 0.0
    after = turns[last + 1].start if last + 1 < len(turns) else duration
    low = max(start - margin, min(before, start), 0.0)
    high = min(end + margin, max(after, end), duration)
    return math.ceil(low * 1000 - 1e-6) / 1000, math.floor(high * 1000 + 1e-6) / 1000


def quietest(source: str | PathLike[str], low: float, high: float) -> float:
    """The middle of the quietest fifth of a second of a recording between two moments, seconds."""
    rate = 16_000
    wave = audio.decode(source, rate, low, high)
    energy = np.add.reduceat(np.square(wave, dtype=np.float64), np.arange(0, len(wave), int(_HOP * rate)))
    width = round(_PAUSE / _HOP)
    if len(energy) < width:
        return high
    least = int(np.argmin(np.convolve(energy, np.ones(width), "valid")))
    return min(high, round(low + (least + width / 2) * _HOP, 3))


def set_end(turns: Sequence[Turn], duration: float) -> tuple[Turn, ...]:
    """Give text for a whole recording its end; refused where the recording is too long for one utterance."""
    if not turns or turns[-1].end != math.inf:
        return tuple(turns)
    if duration > MAX_SECONDS:
        raise UserError(
            f"It has text without times for {duration:.0f} s of audio and an utterance holds at most "
            f"{MAX_SECONDS:g} s: align it first "
            "(with a forced aligner, or as SRT/VTT subtitles) and give turns."
        )
    return (replace(turns[-1], end=duration),)
