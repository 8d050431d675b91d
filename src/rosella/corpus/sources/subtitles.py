"""SubRip and WebVTT subtitles beside audio. The speaker is the voice tag `<v Name>` or a `Name:` prefix.

A cue in which several named people speak is divided among them by the length of what they say. Where two dashes tell
only that two speak, it is one turn with the tags of a dialogue: nobody knows who they are and when they change.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise, takewhile
from pathlib import Path
from typing import NamedTuple

from rosella import dialogue
from rosella.corpus.sources.entries import UNNAMED
from rosella.errors import UserError
from rosella.records import Turn

SUFFIXES = (".srt", ".vtt")

_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_CUE = re.compile(rf"^\s*{_TIME}\s*-->\s*{_TIME}")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
_MARKUP = re.compile(r"<[^>]*>|\{\\[^}]*\}")
_DASH = re.compile(r"(?:^|\n)\s*[-–—]\s*(?=\S)|(?<=[.!?…])\s+[-–—]\s+(?=\S)")
_NAME = re.compile(r"^(?:-\s*)?([^\W\d_][\w .'’-]{0,39}?)\s*:\s+(?=\S)")


class _Cue(NamedTuple):
    """What is shown from `start` to `end`, seconds."""

    start: float
    end: float
    lines: list[str]


def read(path: Path, names: Collection[str] = ()) -> list[Turn]:
    """The cues of a file as turns. Cues without words are left out; a name holds until the next one.

    Those of `names` are names wherever they stand before a colon; others must look like names.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UserError("it is not UTF-8 text: save it as UTF-8") from None
    turns: list[Turn] = []
    speaker = UNNAMED
    for cue in _unrolled(list(_cues(lines))):
        parts = [
            (name, spoken) for part in _parts(cue.lines) for name, spoken in [_named(part, names)] if spoken
        ]
        if len(parts) > 1 and not all(name for name, _ in parts):
            parts = [(None, " ".join(f"{dialogue.TAGS[n % 2]} {said}" for n, (_, said) in enumerate(parts)))]
        turns += _shared(cue, [(name or speaker, said) for name, said in parts])
        speaker = turns[-1].speaker if parts else speaker
    return turns


def _cues(lines: list[str]) -> Iterator[_Cue]:
    """Times and lines of every cue. In WebVTT only an empty line ends one, in SubRip often one of spaces."""
    strict = bool(lines) and lines[0].startswith("WEBVTT")
    for index, line in enumerate(lines):
        if match := _CUE.match(line):
            times = match.groups()
            block = takewhile(lambda line: line if strict else line.strip(), lines[index + 1 :])
            yield _Cue(
                _seconds(*times[:4]), _seconds(*times[4:]), [line.strip() for line in block if line.strip()]
            )
        elif "-->" in line:
            raise UserError(f"line {index + 1} has a time that cannot be read ({line.strip()[:60]})")


def _unrolled(cues: list[_Cue]) -> list[_Cue]:
    """Each line where it appears first, if most cues begin with the lines of the one before, as captions that roll up do."""
    carried = [0, *(_carried(before.lines, cue.lines) for before, cue in pairwise(cues))]
    rolling = sum(count > 0 for count, cue in zip(carried, cues, strict=False) if len(cue.lines) > 1)
    if rolling < 2 or rolling <= sum(len(cue.lines) > 1 for cue in cues) / 2:
        return cues
    return [cue._replace(lines=cue.lines[count:]) for count, cue in zip(carried, cues, strict=True)]


def _carried(before: list[str], lines: list[str]) -> int:
    """How many lines of the cue before still stand at the head of the next one."""
    shown, now = ([_MARKUP.sub("", line) for line in some] for some in (before, lines))
    return next((n for n in range(min(len(shown), len(now)), 0, -1) if shown[-n:] == now[:n]), 0)


def _parts(lines: list[str]) -> list[str]:
    """The lines of a cue by who says them: from voice tag to voice tag, or from dash to dash where there are two."""
    cue = "\n".join(lines)
    voices = [match.start() for match in _VOICE.finditer(cue)]
    if len(voices) > 1:
        edges = [0, *voices[1:], len(cue)]
        return [cue[start:end] for start, end in pairwise(edges)]
    dashes = _DASH.split(cue)
    return dashes[1:] if len(dashes) > 2 and not dashes[0].strip() else [cue]


def _named(part: str, names: Collection[str]) -> tuple[str | None, str]:
    """Who says it, where that is written, and what."""
    voice, said = _VOICE.search(part), spoken(part)
    if voice:
        return voice.group(1).strip(), said
    if known := [name for name in names if f"{said} ".startswith(f"{name}: ")]:
        name = max(known, key=len)
        return name, said[len(name) + 1 :].strip()
    named = _NAME.match(said)
    if named and not named.group(1)[0].islower():  # "one thing: …" is speech, not a name
        return named.group(1).strip(), said[named.end() :].strip()
    return None, said


def spoken(text: str) -> str:
    """What a text of subtitles says on one line, without its markup."""
    return " ".join(html.unescape(_MARKUP.sub("", text)).split())


def _shared(cue: _Cue, parts: Sequence[tuple[str, str]]) -> Iterator[Turn]:
    """A turn for each part, in proportion to its length."""
    whole, said = sum(len(spoken) for _, spoken in parts), 0
    for name, spoken in parts:
        start = cue.start + (cue.end - cue.start) * said / whole
        said += len(spoken)
        yield Turn(start, cue.start + (cue.end - cue.start) * said / whole, name, spoken)


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + int(fraction.ljust(3, "0")) / 1000
