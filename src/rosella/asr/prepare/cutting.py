"""Annotated turns, which may overlap, -> spans of at most 30 s whose text is all that is said in them.

A span begins and ends where nobody is speaking according to the annotation. Turns that overlap are an *island*: it
goes into one example whole, its turns in the order of their beginnings, or is rejected whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rosella import dialogue
from rosella.corpus.steps.segment import Cutting, span
from rosella.corpus.tagging import to_utterance
from rosella.records import END_TOLERANCE, OVERLAP_TOLERANCE, Reject, Segment, Turn, Utterance

_SENTENCE_ENDS = (".", "?", "!", "…")


@dataclass(frozen=True)
class Heard:
    """A turn in verbatim notation, and why it cannot be used, where it cannot."""

    turn: Turn
    fault: str | None = None


@dataclass(frozen=True)
class _Island:
    turns: tuple[Turn, ...]
    start: float
    end: float
    fault: str | None

    @property
    def speakers(self) -> set[str]:
        return {turn.speaker for turn in self.turns}


def cut(
    recording: str, heard: Iterable[Heard], duration: float, language: str | None, cutting: Cutting
) -> tuple[list[Utterance], list[Reject]]:
    """The utterances of a recording of `duration` seconds, and the spans left out with their reasons."""
    placed = sorted((_placed(one, duration) for one in heard), key=lambda one: one.turn.start)
    islands = [_judged(island, cutting) for island in _islands(placed)]
    rejects = [Reject(island.start, island.end, island.fault) for island in islands if island.fault]
    frame = [Turn(island.start, island.end, "", "") for island in islands]
    utterances = []
    for first, last in _groups(islands, cutting):
        start, end = span(frame, first, last, duration, cutting)
        turns = tuple(turn for island in islands[first : last + 1] for turn in island.turns)
        utterances.append(to_utterance(Segment(recording, start, end, turns), language))
    return utterances, rejects


def _placed(one: Heard, duration: float) -> Heard:
    """The turn inside the recording; a fault where it lies outside."""
    turn, fault = one.turn, one.fault
    if not 0 <= turn.start < turn.end:
        fault = fault or "turn without length"
    if turn.end > duration + END_TOLERANCE:
        fault = fault or "turn ends after the audio"
    start = min(max(turn.start, 0.0), duration)
    return Heard(replace(turn, start=start, end=max(min(turn.end, duration), start)), fault)


def _islands(heard: Sequence[Heard]) -> Iterator[_Island]:
    group: list[Heard] = []
    for one in heard:
        if group and one.turn.start >= max(g.turn.end for g in group) - OVERLAP_TOLERANCE:
            yield _island(group)
            group = []
        group.append(one)
    if group:
        yield _island(group)


def _island(group: Sequence[Heard]) -> _Island:
    turns = tuple(one.turn for one in group)
    fault = next((one.fault for one in group if one.fault), None)
    return _Island(turns, turns[0].start, max(turn.end for turn in turns), fault)


def _judged(island: _Island, cutting: Cutting) -> _Island:
    """The island with what is wrong with it as a whole."""
    seconds = island.end - island.start
    fault = island.fault
    if seconds > cutting.max_seconds:
        fault = fault or f"longer than {cutting.max_seconds:g} s without a place to cut"
    if seconds < cutting.min_seconds:
        fault = fault or f"shorter than {cutting.min_seconds:g} s"
    if len(island.speakers) > len(dialogue.TAGS):
        fault = fault or f"more than {len(dialogue.TAGS)} speakers at once"
    return replace(island, fault=fault)


def _groups(islands: Sequence[_Island], cutting: Cutting) -> Iterator[tuple[int, int]]:
    """First and last island of each utterance."""
    first: int | None = None
    for number, island in enumerate(islands):
        if first is not None and (island.fault or island.start - islands[number - 1].end > cutting.max_gap):
            yield first, number - 1
            first = None
        if island.fault:
            continue
        first = number if first is None else first
        while not _fits(islands[first : number + 1], cutting):
            last = _break(islands, first, number, cutting)
            yield first, last
            first = last + 1
    if first is not None:
        yield first, len(islands) - 1


def _fits(group: Sequence[_Island], cutting: Cutting) -> bool:
    speakers = set().union(*(island.speakers for island in group))
    tagged = any(dialogue.speaker_tags(turn.text) for island in group for turn in island.turns)
    return (
        group[-1].end - group[0].start <= cutting.max_seconds
        and len(speakers) <= len(dialogue.TAGS)
        and (len(group) == 1 or not tagged)
    )


def _break(islands: Sequence[_Island], first: int, after: int, cutting: Cutting) -> int:
    """The island before `after` that ends the utterance: the last one that ends a sentence or a speaker's turn, in its
    second half; else simply the last."""
    for last in range(after - 1, first - 1, -1):
        if islands[last].end - islands[first].start < cutting.max_seconds / 2:
            break
        ends = islands[last].turns[-1].text.endswith(_SENTENCE_ENDS)
        if ends or islands[last].speakers != islands[last + 1].speakers:
            return last
    return after - 1
