"""What was said and when, as SubRip and WebVTT subtitles."""

from __future__ import annotations

import textwrap
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, count, pairwise

from rosella.speak.provenance import STATEMENT

LINE, LINES = 42, 2
"""Characters a line and lines a cue that a reader can follow."""


@dataclass(frozen=True)
class Cue:
    """What one speaker says from `start_s` to `end_s`, seconds; `speaker` is empty where it shall not be shown.

    `words`, where their times are known, are all that the text says.
    """

    start_s: float
    end_s: float
    speaker: str
    text: str
    words: tuple[Cue, ...] = ()


def srt(cues: Sequence[Cue]) -> str:
    """The cues as a SubRip file, which has no notation for speakers and none for escaping."""
    blocks = [
        f"{number}\n{_time(start, ',')} --> {_time(end, ',')}\n" + "\n".join(lines).replace("-->", "→") + "\n"
        for number, (start, end, _, lines) in enumerate(_shown(cues), 1)
    ]
    return "\n".join(blocks)


def vtt(cues: Sequence[Cue]) -> str:
    """The cues as a WebVTT file, with a voice tag `<v Anna>` where there is a speaker; a note says who made the speech."""
    blocks = ["WEBVTT\n", f"NOTE {STATEMENT}\n"]
    for start, end, speaker, lines in _shown(cues):
        voice = f"<v {_escaped(' '.join(speaker.split()))}>" if speaker.strip() else ""
        blocks.append(f"{_time(start, '.')} --> {_time(end, '.')}\n{voice}{_escaped(chr(10).join(lines))}\n")
    return "\n".join(blocks)


def _shown(cues: Sequence[Cue]) -> Iterator[tuple[int, int, str, list[str]]]:
    """Start and end in ms, speaker and lines of every cue; what is too long is divided."""
    for cue in cues:
        parts = _divided(" ".join(cue.text.split()))
        for part, (start, end) in zip(parts, _times(cue, parts), strict=True):
            first = round(start * 1000)
            yield first, max(round(end * 1000), first + 1), cue.speaker, _lines(part)


def _times(cue: Cue, parts: Sequence[str]) -> list[tuple[float, float]]:
    """When the parts of a cue are said, in seconds: by its words, or else by their share of its characters."""
    words = [word for word in cue.words for _ in word.text.split()]
    counts = [0, *accumulate(len(part.split()) for part in parts)]
    if counts[-1] == len(words):
        return [(words[first].start_s, words[last - 1].end_s) for first, last in pairwise(counts)]
    said = [0, *accumulate(map(len, parts))]
    at = [cue.start_s + (cue.end_s - cue.start_s) * before / max(said[-1], 1) for before in said]
    return list(pairwise(at))


def _divided(text: str) -> list[str]:
    """As few parts of like length as have room in a cue each; none for a text of spaces."""
    if not text:
        return []
    parts = (_even(text, number) for number in count(-(-len(text) // (LINE * LINES))))
    return next(each for each in parts if all(_fits(_lines(part)) for part in each))


def _fits(lines: Sequence[str]) -> bool:
    return len(lines) <= LINES and all(len(line) <= LINE for line in lines)


def _lines(text: str) -> list[str]:
    return [text] if len(text) <= LINE else _even(text, LINES)


def _even(text: str, number: int) -> list[str]:
    """The text as at most `number` parts, the longest as short as can be; words longer than a line are broken."""
    least = min(LINE, max(map(len, text.split(" "))))
    widths = range(least, len(text) + 1)
    fits = bisect_left(widths, True, key=lambda width: len(_wrapped(text, width)) <= number)
    return _wrapped(text, widths[fits])


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{rest:03}"
