"""Praat TextGrid: written in the long layout as UTF-8, a tier for each speaker, `NAME (clean)`, COMMENT and VERDICT.

Praat cannot tell an empty interval from silence: a turn without words is written with its edges, and read as nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from rosella.annotate.exchange.sheet import Line, Mark, Note, Sheet, folded, milliseconds, with_clean
from rosella.corpus.sources import textgrid
from rosella.corpus.sources.tiers import CLEAN, COMMENT, OVERLAP, VERDICT, speaks

SUFFIX = ".TextGrid"


def seen(line: Line) -> Line | None:
    """A line as a file says it; None for one without words."""
    return line if line.text else None


def write(sheet: Sheet) -> str:
    """The TextGrid, as long as the recording or what is said in it."""
    tiers = list(_tiers(sheet))
    last = max((note.end for _, notes in tiers for note in notes), default=1)
    end = _seconds(max(sheet.duration, last))
    head = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0 ", f"xmax = {end} "]
    lines = [*head, "tiers? <exists> ", f"size = {len(tiers)} ", "item []: "]
    for number, (name, notes) in enumerate(tiers, 1):
        intervals = list(_filled(notes, max(sheet.duration, last)))
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier" ',
            f"        name = {_quoted(name)} ",
        ]
        lines += [
            "        xmin = 0 ",
            f"        xmax = {end} ",
            f"        intervals: size = {len(intervals)} ",
        ]
        for place, note in enumerate(intervals, 1):
            lines += [
                f"        intervals [{place}]:",
                f"            xmin = {_seconds(note.start)} ",
                f"            xmax = {_seconds(note.end)} ",
                f"            text = {_quoted(note.text)} ",
            ]
    return "\n".join(lines) + "\n"


def _tiers(sheet: Sheet) -> Iterator[tuple[str, list[Note]]]:
    for speaker, lines in sheet.by_speaker().items():
        yield speaker, [Note(line.start, line.end, line.text) for line in lines]
        if sheet.has_clean:
            yield speaker + CLEAN, [Note(line.start, line.end, line.clean) for line in lines]
    yield COMMENT, list(sheet.comments or ())
    yield VERDICT, list(sheet.verdicts or ())


def _filled(notes: Iterable[Note], end: int) -> Iterator[Note]:
    """The notes, and empty ones between them, from 0 to `end`."""
    reached = 0
    for note in sorted(notes, key=lambda note: note.start):
        if note.start > reached:
            yield Note(reached, note.start, "")
        yield note
        reached = note.end
    if reached < end:
        yield Note(reached, end, "")


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def read(path: Path, speakers: Callable[[Sheet], Collection[str]]) -> list[Sheet]:
    """The recording of one file, which goes by the file's name."""
    tiers = [tier for tier in textgrid.parse(path.read_bytes()) if tier.intervals is not None]
    said = [tier for tier in tiers if speaks(tier.name) or tier.name == OVERLAP]
    lines = [
        Line(note.start, note.end, folded(tier.name) or None, note.text)
        for tier in said
        for note in _notes(tier)
    ]
    clean = [tier for tier in tiers if tier.name.endswith(CLEAN)]
    named = [(folded(tier.name.removesuffix(CLEAN)), note) for tier in clean for note in _notes(tier)]
    verdicts, comments = _named(tiers, VERDICT), _named(tiers, COMMENT)
    mark = Mark.found(path.stem)
    return [Sheet((), tuple(with_clean(lines, named)), verdicts, comments, bool(clean), mark)]


def _notes(tier: textgrid.Tier) -> Iterator[Note]:
    for start, end, text in tier.intervals or ():
        if said := folded(text):
            yield Note(milliseconds(start), milliseconds(end), said)


def _named(tiers: Iterable[textgrid.Tier], name: str) -> tuple[Note, ...] | None:
    found = [tier for tier in tiers if tier.name == name]
    return tuple(note for tier in found for note in _notes(tier)) if found else None
