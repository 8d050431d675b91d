"""What every format writes and is read into: the lines of a recording, and what was decided and remarked about its clips.

Times are whole milliseconds and white space is folded: what a file cannot say more exactly is no change.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rosella.corpus.corrections.clip import ClipState, Verdict
from rosella.corpus.sources import tiers
from rosella.errors import UserError
from rosella.records import Turn

OVERLAP = tiers.OVERLAP
"""Stands for the speaker of a line that cannot be used, since several speak or there is music or noise."""

_DECIDED = re.compile(r"(?i)(accepted|second|rejected)(?:\s*:\s*(.*))?")
_MARK = re.compile(r"(?:^|-)([0-9a-f]{8,32})-(\d{1,18})(?:\D.*)?$")
_UNWRITABLE = {"Cc", "Cs", "Cn"}


@dataclass(frozen=True)
class Line:
    """A turn as a file shows it, milliseconds. `speaker` is None where the file does not say; `clean` "" without any."""

    start: int
    end: int
    speaker: str | None
    text: str
    clean: str = ""


@dataclass(frozen=True)
class Note:
    """What a file says about a span, milliseconds."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Mark:
    """Which recording a file was written of (the beginning of its id), and after which of all corrections (number)."""

    recording: str
    corrections: int

    def __str__(self) -> str:
        return f"{self.recording[:12]}-{self.corrections}"

    @classmethod
    def found(cls, text: str) -> Mark | None:
        """The mark at the end of a text; what file managers append to names, such as ` (1)`, may follow."""
        match = _MARK.search(text)
        return match and cls(match[1], int(match[2]))


@dataclass(frozen=True)
class Sheet:
    """A file's account of a recording: `media`, the names and addresses it gives the audio, and its `duration`.

    Where `verdicts` or `comments` are None, and `has_clean` is false, the file has no place for them: they are not touched.
    """

    media: tuple[str, ...]
    lines: tuple[Line, ...]
    verdicts: tuple[Note, ...] | None = None
    comments: tuple[Note, ...] | None = None
    has_clean: bool = False
    mark: Mark | None = None
    duration: int = 0

    def by_speaker(self) -> dict[str, list[Line]]:
        """The lines of each speaker, in the order in which they begin to speak; those of nobody in particular last."""
        groups: dict[str, list[Line]] = {}
        for line in sorted(self.lines, key=lambda line: line.speaker == OVERLAP):
            groups.setdefault(line.speaker or "", []).append(line)
        return groups


def folded(text: str | None) -> str:
    """The text on one line with single spaces, without characters that no text file may hold."""
    text = " ".join((text or "").split())
    if text.isprintable():
        return text
    return " ".join("".join(c for c in text if unicodedata.category(c) not in _UNWRITABLE).split())


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def written_names(speakers: Iterable[str]) -> dict[str, str]:
    """Speaker -> the name a file gives them: on one line, and no other's, nor that of a tier with another purpose."""
    names: dict[str, str] = {}
    for speaker in speakers:
        name = folded(speaker) or "_"
        while name in names.values() or not tiers.speaks(name):
            name += "_"
        names[speaker] = name
    return names


def shown(turn: Turn, names: Mapping[str, str]) -> Line:
    """A turn as a line; one in which several speak is nobody's."""
    start, end = milliseconds(turn.start), milliseconds(turn.end)
    speaker = OVERLAP if turn.overlap else names[turn.speaker]
    return Line(start, end, speaker, folded(turn.text), folded(turn.text_clean))


def in_turn(lines: Sequence[Line]) -> list[Line]:
    """The lines in their order, those of each speaker moved so that they do not overlap, which no tier can hold."""
    ends: dict[str | None, int] = {}
    moved = list(lines)
    for number in sorted(range(len(moved)), key=lambda number: moved[number].start):
        line = moved[number]
        start = max(line.start, ends.get(line.speaker, 0))
        ends[line.speaker] = end = max(line.end, start + 1)
        moved[number] = replace(line, start=start, end=end)
    return moved


def with_clean(lines: Iterable[Line], clean: Iterable[tuple[str, Note]]) -> list[Line]:
    """The lines with their clean texts, each a note of a speaker: that of the same span, else the one it lies on most."""
    lines = list(lines)
    places = {(line.speaker, line.start, line.end): number for number, line in enumerate(lines)}
    for speaker, note in clean:
        number = places.get((speaker, note.start, note.end))
        if number is None:
            said = [n for n, line in enumerate(lines) if line.speaker == speaker and shared(line, note) > 0]
            number = max(said, key=lambda n: shared(lines[n], note), default=None)
        if number is not None:
            line = lines[number]
            lines[number] = replace(line, clean=folded(f"{line.clean} {note.text}"))
    return lines


def shared(one: Line | Note, other: Line | Note) -> int:
    """Milliseconds that two spans have in common; negative where they lie apart."""
    return min(one.end, other.end) - max(one.start, other.start)


def verdict_text(state: ClipState) -> str:
    """`accepted`, `rejected: REASON` or `second`; "" where nothing was decided."""
    reason = folded(state.reason) if state.verdict == "rejected" else ""
    return f"rejected: {reason}" if reason else state.verdict or ""


def decided(text: str, start: int) -> tuple[Verdict | None, str | None]:
    """Verdict and reason of the text that `verdict_text` gives; `start` (ms) is for the UserError of another."""
    if not text:
        return None, None
    match = _DECIDED.fullmatch(text)
    verdict: Verdict | None = match and match[1].lower()  # type: ignore[assignment]
    if match is None or (verdict != "rejected" and match[2]):
        raise UserError(
            f"at {start / 1000:.1f} s the verdict {text[:40]!r} is none of accepted, rejected: REASON and second"
        )
    return verdict, match[2] or None
