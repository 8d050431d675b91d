"""Praat TextGrid, long and short, in UTF-8 or UTF-16. Every interval tier is a speaker; point tiers are left out.

Both layouts are one stream of numbers, strings in double quotes and `<exists>`; the words between them say nothing
more. Format: the Praat manual, "TextGrid file formats".
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from rosella.asr.prepare.annotated import beside, seconds
from rosella.asr.prepare.notation import Tally
from rosella.corpus.sources.entries import AUDIO_SUFFIXES
from rosella.errors import UserError
from rosella.records import Turn

SUFFIX = ".textgrid"
_TOKEN = re.compile(r'"(?P<text>(?:[^"]|"")*)"|(?<!\S)(?P<number>-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?!\S)')


def read(path: Path, ignored: tuple[str, ...], tally: Tally) -> tuple[Path, list[Turn]]:
    """Audio and turns of one file; the audio stands beside it under the same name."""
    return beside(path, AUDIO_SUFFIXES), list(_turns(path, ignored, tally))


def _turns(path: Path, ignored: tuple[str, ...], tally: Tally) -> Iterator[Turn]:
    for tier, intervals in _tiers(path, tally):
        if tier in ignored:
            tally[f"tiers left out ({tier})"] += 1
            continue
        yield from (Turn(start, end, tier, text) for start, end, text in intervals if text.strip())


def _tiers(path: Path, tally: Tally) -> Iterator[tuple[str, list[tuple[float, float, str]]]]:
    """Name and intervals (start, end, text) of each interval tier."""
    tokens = _tokens(path)
    try:
        kind, count = [next(tokens) for _ in range(5)][1::3]
        if kind != "TextGrid":
            raise UserError("annotation is a Praat object of another kind: save a TextGrid")
        for _ in range(int(count)):
            kind, name, _, _, size = (next(tokens) for _ in range(5))
            if kind == "IntervalTier":
                yield name, [_interval(tokens) for _ in range(int(size))]
            else:
                tally[f"tiers left out ({name})"] += 1
                _ = [next(tokens) for _ in range(2 * int(size))]
    except (StopIteration, RuntimeError, ValueError):
        raise UserError("annotation is cut off or no TextGrid: save it again with Praat") from None


def _interval(tokens: Iterator[str]) -> tuple[float, float, str]:
    return seconds(next(tokens)), seconds(next(tokens)), next(tokens)


def _tokens(path: Path) -> Iterator[str]:
    for match in _TOKEN.finditer(_decoded(path.read_bytes())):
        yield match["number"] if match["text"] is None else match["text"].replace('""', '"')


def _decoded(content: bytes) -> str:
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise UserError("annotation is neither UTF-8 nor UTF-16: save it again with Praat") from None
