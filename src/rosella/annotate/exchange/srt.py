"""Subtitles: written as SubRip, one turn a cue, `Name: text`; read as SubRip or WebVTT.

They hold words, times and names, neither clean texts nor what was decided; a turn without words has no cue.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from rosella.annotate.exchange.sheet import Line, Mark, Sheet, folded, milliseconds
from rosella.corpus.sources import subtitles
from rosella.corpus.sources.entries import UNNAMED

SUFFIX, *OTHER_SUFFIXES = subtitles.SUFFIXES
_DASHES = "-–— "


def seen(line: Line) -> Line | None:
    """A line as a file says it; None for one without words. A name that begins with dashes would divide the cue."""
    speaker = (line.speaker or "").lstrip(_DASHES) or UNNAMED
    return replace(line, speaker=speaker, clean="") if line.text else None


def write(sheet: Sheet) -> str:
    """The cues in order of time."""
    lines = filter(None, map(seen, sorted(sheet.lines, key=lambda line: (line.start, line.end))))
    return "\n".join(
        f"{number}\n{_time(line.start)} --> {_time(line.end)}\n{_cue(f'{line.speaker}: {line.text}')}\n"
        for number, line in enumerate(lines, 1)
    )


def _cue(text: str) -> str:
    """The text; with what would be taken for markup or times escaped, where it holds any."""
    if subtitles.spoken(text) == text and "-->" not in text:
        return text
    return html.escape(text, quote=False).replace("{", "&#123;")


def _time(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d},{rest:03d}"


def read(path: Path, speakers: Callable[[Sheet], Collection[str]]) -> list[Sheet]:
    """The recording of one file, which goes by the file's name; `speakers` tells what may be a name in it."""
    sheet = Sheet((), (), mark=Mark.found(path.stem))
    known = [(name.lstrip(_DASHES) or UNNAMED) for name in speakers(sheet)]
    lines = tuple(
        Line(
            milliseconds(turn.start),
            milliseconds(turn.end),
            None if turn.speaker == UNNAMED and UNNAMED not in known else folded(turn.speaker),
            folded(turn.text),
        )
        for turn in subtitles.read(path, known)
    )
    return [replace(sheet, lines=lines)]
