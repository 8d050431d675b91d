"""Praat TextGrid, long and short, in UTF-8 or UTF-16: its tiers.

Both layouts are one stream of numbers, strings in double quotes and `<exists>`; the words between them say nothing
more. Format: the Praat manual, "TextGrid file formats".
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from rosella.errors import UserError

SUFFIX = ".textgrid"
_TOKEN = re.compile(r'"(?P<text>(?:[^"]|"")*)"|(?<!\S)(?P<number>-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?!\S)')


@dataclass(frozen=True)
class Tier:
    """`intervals` are start, end (seconds) and text, silence included; None for a tier of points."""

    name: str
    intervals: tuple[tuple[float, float, str], ...] | None


def parse(content: bytes) -> Iterator[Tier]:
    """The tiers of a file's bytes; a UserError where it is no whole TextGrid."""
    tokens = _tokens(content)
    try:
        kind, count = [next(tokens) for _ in range(5)][1::3]
        if kind != "TextGrid":
            raise UserError("annotation is a Praat object of another kind: save a TextGrid")
        for _ in range(int(count)):
            kind, name, _, _, size = (next(tokens) for _ in range(5))
            if kind == "IntervalTier":
                yield Tier(name, tuple(_interval(tokens) for _ in range(int(size))))
            else:
                _ = [next(tokens) for _ in range(2 * int(size))]
                yield Tier(name, None)
    except (StopIteration, RuntimeError, ValueError):
        raise UserError("annotation is cut off or no TextGrid: save it again with Praat") from None


def _interval(tokens: Iterator[str]) -> tuple[float, float, str]:
    return _seconds(next(tokens)), _seconds(next(tokens)), next(tokens)


def _seconds(text: str) -> float:
    try:
        if math.isfinite(time := float(text)):
            return time
    except ValueError:
        pass
    raise UserError(f"annotation has no time where one belongs ({text})")


def _tokens(content: bytes) -> Iterator[str]:
    for match in _TOKEN.finditer(_decoded(content)):
        yield match["number"] if match["text"] is None else match["text"].replace('""', '"')


def _decoded(content: bytes) -> str:
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise UserError("annotation is neither UTF-8 nor UTF-16: save it again with Praat") from None
