"""What every source format is read into: recordings whose turns are read when they are wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rosella.asr.prepare.notation import Tally
from rosella.errors import UserError
from rosella.records import Turn, Utterance


@dataclass(frozen=True)
class Annotated:
    """A recording and its annotation. `name` is unique in the source and stays when the source moves.

    `read` gives the audio file and the turns as the source writes them, in any order, overlaps included; it counts
    in the tally what it did by rule, and raises a UserError for an annotation that cannot be read. Where utterances are
    `cut` already, in verbatim notation, they are taken as they are, and there are no turns.
    """

    name: str
    language: str | None
    read: Callable[[Tally], tuple[Path, list[Turn]]]
    cut: tuple[Utterance, ...] = ()


def seconds(text: str | None) -> float:
    """A time of the annotation; a UserError where there is none."""
    try:
        return float(text or "")
    except ValueError:
        raise UserError(f"annotation has no time where one belongs ({text})") from None


def beside(annotation: Path, suffixes: frozenset[str]) -> Path:
    """The audio of the same name beside an annotation; where there is none, the path a wav would have."""
    same = (file for file in sorted(annotation.parent.iterdir()) if file.stem == annotation.stem)
    found = (file for file in same if file.suffix.lower() in suffixes)
    return next(found, annotation.with_suffix(".wav"))
