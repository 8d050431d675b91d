"""Turns and the tagged text of an utterance: `[S1] … [S2] …`, one tag per change of speaker, in order of appearance."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from rosella import dialogue
from rosella.records import Segment, Turn, Utterance, utterance_id

_TAG = re.compile("|".join(map(re.escape, dialogue.TAGS)))


def to_utterance(segment: Segment, language: str | None) -> Utterance:
    """The utterance of a segment: speaker tags restart at `[S1]`, in order of appearance."""
    turns = segment.turns
    speakers = tuple(dict.fromkeys(turn.speaker for turn in turns))
    seconds = {s: sum(t.end - t.start for t in turns if t.speaker == s) for s in speakers}
    tagged = dialogue.speaker_tags(turns[0].text)
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
        transcript_source="manifest" if any(turn.text for turn in turns) else "model",
    )


def pieces(text: str) -> list[tuple[int, str]]:
    """What is said between tags: number of the tag from 0, and words. Words before any tag are the first speaker's."""
    numbers = [0, *(dialogue.TAGS.index(tag) for tag in _TAG.findall(text))]
    words = [part.strip() for part in _TAG.split(text)]
    return [(number, part) for number, part in zip(numbers, words, strict=True) if part]


def written(said: Iterable[tuple[int, str]]) -> str:
    """Inverse of `pieces`: one tag per change of speaker."""
    parts: list[str] = []
    previous = None
    for number, words in said:
        if number != previous:
            parts.append(dialogue.TAGS[number])
            previous = number
        parts.append(words)
    return " ".join(parts)


def renamed(utterance: Utterance, name: Callable[[str], str]) -> Utterance:
    """The utterance with other names of its speakers; those who now are one get one tag."""
    names = [name(speaker) for speaker in utterance.speakers]
    main = utterance.main_speaker and name(utterance.main_speaker)
    speakers = tuple(dict.fromkeys(names))
    known = replace(utterance, speakers=speakers, main_speaker=main)
    if len(speakers) == len(names):
        return known
    tags = [speakers.index(name) for name in names]
    clean = utterance.text_clean and _retagged(utterance.text_clean, tags)
    return replace(known, text=_retagged(utterance.text, tags), text_clean=clean)


def _retagged(text: str, tags: Sequence[int]) -> str:
    """The text with tag `tags[n]` for tag n, once per change; as it is where it has no tags or others."""
    said = pieces(text)
    if not dialogue.speaker_tags(text) or any(number >= len(tags) for number, _ in said):
        return text
    return written((tags[number], words) for number, words in said)


def _dialogue(turns: Sequence[Turn], texts: Sequence[str], speakers: tuple[str, ...]) -> str:
    """Turns without words (all disfluency) are left out."""
    numbers = [speakers.index(turn.speaker) for turn in turns]
    spoken = zip(numbers, map(str.strip, texts), strict=True)
    return written((number, words) for number, words in spoken if words)
