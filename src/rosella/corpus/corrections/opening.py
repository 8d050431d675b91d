"""From an utterance to the turns that a person sees: its tagged text laid on what was heard in its span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import groupby, pairwise

from rosella import dialogue
from rosella.corpus.corrections.clip import ClipState
from rosella.corpus.tagging import pieces, to_utterance
from rosella.records import Segment, Turn, Utterance

NOBODY = "A"
"""The name of whoever speaks where none was heard."""


def open_clip(utterance: Utterance, turns: Sequence[Turn]) -> ClipState:
    """The clip of an utterance whose recording has these turns (others than those in its span do no harm).

    The manifest's turns stay as they are. The text of a recogniser is divided at its tags; where its pieces are not
    the turns that were heard, they share out the time in which somebody spoke by the length of their words.
    Edges are those of the utterance.
    """
    heard = _inside(utterance, turns)
    return ClipState(utterance.start, utterance.end, _turns(utterance, heard))


def _inside(utterance: Utterance, turns: Sequence[Turn]) -> list[Turn]:
    """The turns, or what of them lies in the utterance, in milliseconds."""
    inside: list[Turn] = []
    for turn in turns:
        start = max(round(turn.start, 3), utterance.start)
        end = min(round(turn.end, 3), utterance.end)
        if end > start and not turn.overlap:
            inside.append(replace(turn, start=start, end=end))
    return inside


def _turns(utterance: Utterance, heard: list[Turn]) -> tuple[Turn, ...]:
    if heard and _says(utterance, heard):
        return tuple(heard)
    said = [(_speaker(utterance, tag), words) for tag, words in pieces(utterance.text)]
    heard = heard or [Turn(utterance.start, utterance.end, _speaker(utterance, 0), "")]
    if not said:
        return tuple(replace(turn, text="", text_clean=None) for turn in heard)
    times = _times_of_runs(heard, [speaker for speaker, _ in said]) or _shared_out(
        heard, [words for _, words in said]
    )
    cleans = _cleans(utterance, [words for _, words in said])
    return tuple(
        Turn(start, end, speaker, words, clean)
        for (start, end), (speaker, words), clean in zip(times, said, cleans, strict=True)
    )


def _says(utterance: Utterance, turns: Sequence[Turn]) -> bool:
    """Whether the utterance is just what these turns say."""
    if any(dialogue.speaker_tags(turn.text) for turn in turns):
        return False
    made = to_utterance(Segment(utterance.recording, utterance.start, utterance.end, tuple(turns)), None)
    return (made.text, made.text_clean, made.speakers) == (
        utterance.text,
        utterance.text_clean,
        utterance.speakers,
    )


def _speaker(utterance: Utterance, tag: int) -> str:
    if tag < len(utterance.speakers):
        return utterance.speakers[tag]
    return dialogue.TAGS[tag][1:-1] if tag or utterance.speakers else NOBODY


def _times_of_runs(heard: Sequence[Turn], speakers: Sequence[str]) -> list[tuple[float, float]] | None:
    """The times of what each speaker said until another did, where that is just how the speakers change."""
    runs = [(name, list(run)) for name, run in groupby(heard, lambda turn: turn.speaker)]
    if [name for name, _ in runs] != list(speakers):
        return None
    return [(run[0].start, run[-1].end) for _, run in runs]


def _shared_out(heard: Sequence[Turn], said: Sequence[str]) -> list[tuple[float, float]]:
    """Times by the length of words, over the time in which somebody was heard."""
    lengths = [max(1, len(words)) for words in said]
    spoken, total = sum(turn.end - turn.start for turn in heard), sum(lengths)
    bounds = [spoken * sum(lengths[:number]) / total for number in range(len(lengths) + 1)]
    return [
        (_moment(heard, low, later=True), _moment(heard, high, later=False)) for low, high in pairwise(bounds)
    ]


def _moment(heard: Sequence[Turn], after: float, later: bool) -> float:
    """When so many seconds have been spoken; at the end of a turn that, or the begin of the next if `later`."""
    for turn in heard:
        length = turn.end - turn.start
        if after < length - 1e-6 or (not later and after < length + 1e-6):
            return round(turn.start + max(after, 0.0), 3)
        after -= length
    return heard[-1].end


def _cleans(utterance: Utterance, said: Sequence[str]) -> list[str | None]:
    """The clean text of each piece: by the tags where they are the same, else by the words that both have."""
    if utterance.text_clean is None:
        return [None] * len(said)
    clean = pieces(utterance.text_clean)
    tags = [tag for tag, _ in pieces(utterance.text)]
    if [tag for tag, _ in clean] == tags:
        return [words for _, words in clean]
    return list(_aligned(" ".join(words for _, words in clean).split(), said))


def _aligned(words: Sequence[str], said: Sequence[str]) -> list[str]:
    """Words by the piece in which they were said; those that were not go with the word before them."""
    owners = [number for number, piece in enumerate(said) for _ in piece.split()]
    spoken = [_key(word) for piece in said for word in piece.split()]
    matcher = SequenceMatcher(None, spoken, [_key(word) for word in words], autojunk=False)
    found = {b + n: owners[a + n] for a, b, size in matcher.get_matching_blocks() for n in range(size)}
    parts: list[list[str]] = [[] for _ in said]
    owner = 0
    for number, word in enumerate(words):
        owner = found.get(number, owner)
        parts[owner].append(word)
    return [" ".join(part) for part in parts]


def _key(word: str) -> str:
    """A word as it is compared: without case and punctuation."""
    return "".join(filter(str.isalnum, word.casefold())) or word
