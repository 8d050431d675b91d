"""Turns -> utterances: cut at turn ends, at most 30 s, neighbouring turns merged into dialogue."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rosella import text
from rosella.errors import UserError
from rosella.records import Recording, Segment, Turn, Utterance, check_turns, utterance_id

VERSION = "1"
MAX_SECONDS = 30.0


@dataclass(frozen=True)
class Cutting:
    """How turns become utterances; all in seconds."""

    max_seconds: float = MAX_SECONDS
    max_gap: float = 2.0
    """A longer pause between two turns ends the utterance: training on it would teach silence."""
    margin: float = 0.1
    """Audio kept around the turns, since hand-set times clip onsets; it never enters a neighbouring turn."""
    min_seconds: float = 0.1

    @property
    def version(self) -> str:
        """Identifies what the segment stage does; another value makes its results stale."""
        return f"{VERSION}:{self.max_seconds:g}:{self.max_gap:g}:{self.margin:g}:{self.min_seconds:g}"


@dataclass(frozen=True)
class Reject:
    """A span that does not become an utterance, and why."""

    start: float
    end: float
    reason: str


def cut(
    recording: Recording, turns: Sequence[Turn], cutting: Cutting
) -> tuple[list[Utterance], list[Reject]]:
    """Cut a recording into utterances. A UserError says what is wrong with its turns as a whole."""
    check_turns(turns, recording.duration)
    inside = [replace(t, end=min(t.end, recording.duration)) for t in turns]
    rejects = [Reject(t.start, t.end, reason) for t in inside if (reason := _unusable(t, cutting))]
    utterances = []
    for first, last in _groups(inside, cutting):
        start, end = span(inside, first, last, recording.duration, cutting)
        segment = Segment(recording.id, start, end, tuple(inside[first : last + 1]))
        utterances.append(transcribed(segment, recording.language))
    return utterances, rejects


def _unusable(turn: Turn, cutting: Cutting) -> str | None:
    length = turn.end - turn.start
    if length > cutting.max_seconds:
        return f"turn of {length:.1f} s is longer than {cutting.max_seconds:g} s and has no times inside"
    if length < cutting.min_seconds:
        return f"turn of {length:.2f} s is shorter than {cutting.min_seconds:g} s"
    return None


def _groups(turns: Sequence[Turn], cutting: Cutting) -> Iterator[tuple[int, int]]:
    """First and last turn of each utterance; an unusable turn ends one and belongs to none."""
    first: int | None = None
    for number, turn in enumerate(turns):
        usable = _unusable(turn, cutting) is None
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
        and len({t.speaker for t in (*group, turn)}) <= len(text.TAGS)
        and not any(text.speaker_tags(t.text) for t in (*group, turn))
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


def transcribed(segment: Segment, language: str | None) -> Utterance:
    """The utterance of a segment: speaker tags restart at `[S1]`, in order of appearance."""
    turns = segment.turns
    speakers = tuple(dict.fromkeys(turn.speaker for turn in turns))
    seconds = {s: sum(t.end - t.start for t in turns if t.speaker == s) for s in speakers}
    tagged = text.speaker_tags(turns[0].text)
    clean = None
    if any(turn.text_clean for turn in turns):
        clean = _dialogue(turns, [t.text if t.text_clean is None else t.text_clean for t in turns], speakers)
    return Utterance(
        id=utterance_id(segment.recording, segment.start, segment.end),
        recording=segment.recording,
        start=segment.start,
        end=segment.end,
        text=turns[0].text if tagged else _dialogue(turns, [turn.text for turn in turns], speakers),
        text_clean=turns[0].text_clean if tagged else clean,
        speakers=tuple(f"{turns[0].speaker} {tag[1:-1]}" for tag in dict.fromkeys(tagged)) or speakers,
        main_speaker=None if tagged else max(speakers, key=seconds.__getitem__),
        language=language,
    )


def _dialogue(turns: Sequence[Turn], texts: Sequence[str], speakers: tuple[str, ...]) -> str:
    """`[S1] … [S2] …`, one tag per change of speaker; turns without words (all disfluency) are left out."""
    parts: list[str] = []
    previous = None
    for turn, spoken in zip(turns, texts, strict=True):
        if not spoken.strip():
            continue
        if turn.speaker != previous:
            parts.append(text.TAGS[speakers.index(turn.speaker)])
            previous = turn.speaker
        parts.append(spoken.strip())
    return " ".join(parts)


def timed(turns: Sequence[Turn], duration: float) -> tuple[Turn, ...]:
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
