"""From what a person made of a clip to utterances, and what is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby

from rosella.corpus.corrections.clip import (
    ACCEPTED,
    EDITED,
    HUMAN,
    REJECTED,
    AnnotatedClip,
    ClipState,
    is_of_people,
    is_said,
)
from rosella.corpus.tagging import renamed, to_utterance
from rosella.errors import UserError
from rosella.records import Reject, Segment, Turn, Utterance

MARGIN = 0.1
"""Seconds kept around words where a turn beside them is left out; they never enter that turn."""

LONGEST = 30.0
"""Seconds of an utterance, which models and recognisers take at most."""


def utterances_of(clip: AnnotatedClip, drafted: Utterance, name: Callable[[str], str]) -> list[Utterance]:
    """The utterances of a clip whose draft was the utterance `drafted`, before speakers were given another `name`.

    What nobody changed stays to the letter, its id included. A turn that is not usable or has no words divides the
    clip. A UserError says which part would be too long.
    """
    state = clip.state
    if state.verdict == REJECTED:
        return []
    if not is_of_people(state, clip.draft):
        return [replace(drafted, clip=clip.id if state != clip.draft else None)]
    if state.unjudged == clip.draft.unjudged:
        made = [renamed(drafted, name)]
    else:
        made = [to_utterance(segment, drafted.language) for segment in _segments(clip)]
    source = HUMAN if state.verdict == ACCEPTED else EDITED
    sure = {"confidence": None, "no_speech": None, "compression": None}
    return [replace(utterance, clip=clip.id, transcript_source=source, **sure) for utterance in made]


def rejects_of(clip: AnnotatedClip) -> list[Reject]:
    """What a person left out of a clip, and why."""
    state = clip.state
    if state.verdict == REJECTED:
        reason = " ".join((state.reason or "no reason given").split())
        return [Reject(state.start, state.end, f"rejected by a person: {reason}")]
    if state.unjudged == clip.draft.unjudged:
        return []
    return [Reject(turn.start, turn.end, _why(turn)) for turn in state.turns if not is_said(turn)]


def _why(turn: Turn) -> str:
    return "not usable, says a person" if turn.overlap else "no words, says a person"


def _segments(clip: AnnotatedClip) -> Iterator[Segment]:
    for start, end, turns in _parts(clip.state):
        if end - start > LONGEST + 1e-6:
            raise UserError(
                f"The clip would make an utterance of {end - start:.1f} s and one holds at most {LONGEST:g} s: "
                "divide it by a turn that is not used."
            )
        yield Segment(clip.recording, start, end, turns)


def _parts(state: ClipState) -> Iterator[tuple[float, float, tuple[Turn, ...]]]:
    """Start, end and turns of what lies between turns that are left out; the clip's own edges at its ends."""
    turns = state.turns
    for said, group in groupby(range(len(turns)), lambda number: is_said(turns[number])):
        if not said:
            continue
        numbers = list(group)
        first, last = numbers[0], numbers[-1]
        start, end = state.start, state.end
        if first > 0:
            start = max(turns[first].start - MARGIN, min(turns[first - 1].end, turns[first].start))
        if last + 1 < len(turns):
            end = min(turns[last].end + MARGIN, max(turns[last + 1].start, turns[last].end))
        yield round(start, 3), round(end, 3), turns[first : last + 1]
