"""The records that flow through the corpus: ids, units and validation. All times are seconds as float."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, Self

from rosella.errors import UserError
from rosella.files import sha256

OVERLAP_TOLERANCE = 0.05
"""Seconds by which a turn may begin before the previous one ends; more is an overlap and refused."""

END_TOLERANCE = 0.5
"""Seconds by which the last turn may exceed the recording (containers round durations); it is cut there."""

LEAST_SURE = -0.12
"""Confidence below which a recogniser guesses more than it hears: see "How sure it is" in docs/asr.md."""


class Record:
    """Dictionary conversion shared by the dataclasses below."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)  # type: ignore[call-overload]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`; keys that are not fields are ignored."""
        return cls(**{f.name: values[f.name] for f in fields(cls) if f.name in values})  # type: ignore[arg-type]


@dataclass(frozen=True)
class OneChannel:
    """An audio file, or the URL of one, of which one channel is heard, by its number from 0, instead of the mean of all."""

    path: str
    channel: int

    def __fspath__(self) -> str:
        return self.path

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, kw_only=True)
class Facts(Record):
    """What is known of a recording besides its sound: where it comes from and what may be done with it."""

    show: str | None = None
    source_url: str | None = None
    language: str | None = None
    licence: str | None = None
    consent: str | None = None


FACTS = tuple(fact.name for fact in fields(Facts))


@dataclass(frozen=True)
class Recording(Facts):
    """A source file. `id` is the hash of its content, so one file under two names is one recording."""

    id: str
    path: str
    duration: float
    sample_rate: int
    channels: int
    channel: int | None = None
    """The one to hear, where the mean of all would be next to nothing."""

    @property
    def audio(self) -> str | OneChannel:
        """What its sound is decoded from."""
        return self.path if self.channel is None else OneChannel(self.path, self.channel)


@dataclass(frozen=True)
class Turn(Record):
    """One speaker from `start` to `end`; `text` is verbatim, `text_clean` without disfluencies.

    In an `overlap` several speak at once, and the speaker is nobody in particular.
    """

    start: float
    end: float
    speaker: str
    text: str
    text_clean: str | None = None
    overlap: bool = False


@dataclass(frozen=True)
class Segment(Record):
    """A span of a recording, at most 30 s, with the turns inside it."""

    recording: str
    start: float
    end: float
    turns: tuple[Turn, ...]

    @property
    def id(self) -> str:
        return utterance_id(self.recording, self.start, self.end)


@dataclass(frozen=True)
class Utterance(Record):
    """The training example: a span of a recording and its transcripts (`[S1] … [S2] …`).

    `speakers` are the recording's own names in the order of their tags; `main_speaker` talks longest.
    `transcript_source` is manifest, model, human (accepted by a person) or edited (changed by one, not accepted).
    A model's transcript has a `confidence` (log-probability of a byte of its text), a probability that nothing is said,
    and a `compression` (high where text repeats itself). `clip` is the one that a person made it from or judged.
    """

    id: str
    recording: str
    start: float
    end: float
    text: str
    text_clean: str | None = None
    speakers: tuple[str, ...] = ()
    main_speaker: str | None = None
    language: str | None = None
    confidence: float | None = None
    no_speech: float | None = None
    compression: float | None = None
    transcript_source: str = "manifest"
    clip: str | None = None


@dataclass(frozen=True)
class Reject:
    """A span that does not become an utterance, and why."""

    start: float
    end: float
    reason: str


def content_id(source: str | Path | BinaryIO) -> str:
    """SHA-256 of a file's bytes, from where an open one stands, 32 hexadecimal digits: the natural key of a recording."""
    return sha256(source)[:32]


def utterance_id(recording: str, start: float, end: float) -> str:
    """Natural key of an utterance: its recording and its span in milliseconds."""
    return f"{recording}-{round(start * 1000):08d}-{round(end * 1000):08d}"


def fraction(name: str) -> float:
    """A number from 0 to 1 that is a name's own everywhere: what stands on which side of a split is decided by it."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64


def check_turns(turns: Sequence[Turn], duration: float | None = None) -> None:
    """Refuse turns no utterance can be cut from; `duration` (seconds) of the recording, where it is known."""
    for number, turn in enumerate(turns, 1):
        _check_span(number, turn, duration)
        if number > 1:
            _check_order(number, turns[number - 2], turn)


def _check_span(number: int, turn: Turn, duration: float | None) -> None:
    if not (math.isfinite(turn.start) and math.isfinite(turn.end)) or turn.start < 0:
        raise UserError(
            f"Turn {number} has no valid times ({turn.start} to {turn.end} s): give seconds from 0 on."
        )
    if turn.end <= turn.start:
        raise UserError(
            f"Turn {number} runs backwards ({turn.start:.2f} to {turn.end:.2f} s): "
            "its end must follow its start."
        )
    if duration is not None and turn.end > duration + END_TOLERANCE:
        raise UserError(
            f"Turn {number} ends at {turn.end:.2f} s, outside the recording of {duration:.2f} s: "
            "correct its times or give the whole audio file."
        )


def _check_order(number: int, before: Turn, turn: Turn) -> None:
    if turn.start < before.start:
        raise UserError(
            f"Turn {number} starts at {turn.start:.2f} s, before turn {number - 1} ({before.start:.2f} s): "
            "list the turns in order of time."
        )
    if turn.start < before.end - OVERLAP_TOLERANCE:
        raise UserError(
            f"Turn {number} overlaps turn {number - 1} by {before.end - turn.start:.2f} s: "
            f"cut overlapping speech so that turns share at most {OVERLAP_TOLERANCE} s."
        )
