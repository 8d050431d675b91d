"""From clips of recordings to their verbatim and clean transcripts, in batches of alike lengths.

Results are keyed by the clip's id, whatever order, gaps and failures there are on the way.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from os import PathLike
from typing import Any, Literal, Protocol, get_args

import numpy as np

from rosella import audio
from rosella.corpus.ahead import Ahead
from rosella.corpus.disfluencies import fillers, remove_disfluencies
from rosella.errors import UserError

Kind = Literal["verbatim", "clean"]
KINDS: tuple[Kind, ...] = get_args(Kind)

VERSION = "2"
SILENT, REPETITIVE = 0.6, 2.4
"""No-speech probability and compression above which Whisper's authors distrust a transcript (Radford 2022)."""
TOLERANCE = 0.01
"""Seconds by which a clip may exceed the window (times are rounded); it is cut there."""


@dataclass(frozen=True)
class Written:
    """Token ids a recogniser wrote, without prompt and end, and the sum of their log-probabilities, the end included.

    Not `ended` means that the positions ran out.
    """

    ids: tuple[int, ...]
    log_probability: float
    ended: bool


class Recogniser(Protocol):
    """What is needed of `rosella.asr.recogniser.Recogniser`; features and states are its own affair."""

    @property
    def batch_size(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def window(self) -> float: ...
    @property
    def languages(self) -> Mapping[str, int]: ...
    def hears_like(self, other: Any) -> bool: ...
    def prompt(self, kind: Kind, language: str) -> list[int]: ...
    def features(self, waves: Sequence[np.ndarray]) -> Any: ...
    def encode(self, features: Any) -> Any: ...
    def listen(self, states: Any) -> tuple[list[str], list[float]]: ...
    def write(self, states: Any, prompts: Sequence[Sequence[int]]) -> list[Written]: ...
    def text(self, ids: Sequence[int]) -> str: ...


@dataclass(frozen=True)
class Clip:
    """A span of a recording (a file, or a URL), seconds; a language of None is found out."""

    id: str
    audio: str | PathLike[str]
    start: float
    end: float
    language: str | None = None


@dataclass(frozen=True)
class Transcript:
    """`log_probability` is that of a byte of the text; `compression` is text over compressed text, high where text repeats.

    Tokens are bytes to one recogniser and words to another: a mean over tokens would mean something else with each.
    """

    text: str
    log_probability: float
    compression: float


@dataclass(frozen=True)
class Transcription:
    """What a clip says. `no_speech` is the probability that it says nothing."""

    language: str
    no_speech: float
    transcripts: dict[Kind, Transcript]


@dataclass
class Outcome:
    """Transcriptions and reasons for what has none, both by the clip's id."""

    transcriptions: dict[str, Transcription] = field(default_factory=dict)
    rejects: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Heard:
    """Clips that were decoded together, their waveforms `[samples]` at the recogniser's rate, and why others were not."""

    clips: list[Clip]
    waves: list[np.ndarray]
    rejects: dict[str, str]


@dataclass(frozen=True)
class _Listener:
    """Recognisers that hear alike, by what each is asked to write: one pass of the encoder serves them all."""

    writers: dict[Kind, Recogniser]

    @property
    def any(self) -> Recogniser:
        return next(iter(self.writers.values()))


class Transcriber:
    """Writes the transcripts that it has a recogniser for; the same one may serve for both.

    With `rules`, the clean transcript is the verbatim one without fillers and restarts (see `corpus.disfluencies`).
    """

    def __init__(
        self, recognisers: Mapping[Kind, Recogniser], rules: bool = False, batch_size: int | None = None
    ) -> None:
        if rules and list(recognisers) != ["verbatim"]:
            raise UserError(
                "Rules make the clean transcript from the verbatim one: give one recogniser for that."
            )
        self.rules = rules
        self.listeners = _listeners(recognisers)
        self.batch_size = batch_size or self.listeners[0].any.batch_size
        self.window = min(recogniser.window for recogniser in recognisers.values())
        self.languages = set.intersection(*(set(recogniser.languages) for recogniser in recognisers.values()))

    @property
    def version(self) -> str:
        """Identifies what it writes; another value makes transcripts stale."""
        writers = [
            f"{kind}={writer.fingerprint}"
            for listener in self.listeners
            for kind, writer in listener.writers.items()
        ]
        return ":".join([VERSION, *sorted(writers), *(["rules"] if self.rules else [])])

    def transcribe(self, clips: Iterable[Clip], report: Callable[[int], None] = lambda done: None) -> Outcome:
        """Transcribe clips in any order; those without a transcript have a reason. `report` hears how many are done."""
        with Ahead(self.read(clips)) as batches:
            return self.transcribed(batches, report)

    def read(self, clips: Iterable[Clip]) -> Generator[Heard]:
        """Decode clips in batches of alike lengths, the longest first."""
        clips = unique(clips)
        refused = {clip.id: reason for clip in clips if (reason := self._refusal(clip))}
        fitting = [clip for clip in clips if clip.id not in refused]
        ordered = sorted(fitting, key=lambda clip: clip.end - clip.start, reverse=True)
        if refused:
            yield Heard([], [], refused)
        for first in range(0, len(ordered), self.batch_size):
            yield self._heard(ordered[first : first + self.batch_size])

    def transcribed(
        self, batches: Iterable[Heard], report: Callable[[int], None] = lambda done: None
    ) -> Outcome:
        """What `transcribe` gives, of clips that were read."""
        outcome = Outcome()
        for batch in batches:
            outcome.rejects |= batch.rejects
            outcome.transcriptions |= self.write(batch.clips, batch.waves)
            report(len(outcome.transcriptions) + len(outcome.rejects))
        return outcome

    def write(self, clips: Sequence[Clip], waves: Sequence[np.ndarray]) -> dict[str, Transcription]:
        """Transcribe one batch of clips whose audio, mono at the recogniser's rate, is at hand."""
        if not clips:
            return {}
        languages = [clip.language for clip in clips]
        silence: list[float] = []
        made: list[dict[Kind, Transcript]] = [{} for _ in clips]
        for listener in self.listeners:
            states = listener.any.encode(listener.any.features(waves))
            if not silence:
                heard, silence = listener.any.listen(states)
                languages = [known or guess for known, guess in zip(languages, heard, strict=True)]
            for kind, transcripts in _written(listener, states, [str(name) for name in languages]).items():
                for place, transcript in enumerate(transcripts):
                    made[place][kind] = transcript
        return {
            clip.id: Transcription(str(language), silent, self._ruled(transcripts, language))
            for clip, language, silent, transcripts in zip(clips, languages, silence, made, strict=True)
        }

    def _ruled(self, made: dict[Kind, Transcript], language: str | None) -> dict[Kind, Transcript]:
        if not self.rules:
            return made
        verbatim = made["verbatim"]
        text = remove_disfluencies(verbatim.text, fillers(language))
        return {**made, "clean": replace(verbatim, text=text, compression=compression_ratio(text))}

    def _refusal(self, clip: Clip) -> str | None:
        seconds = clip.end - clip.start
        if seconds <= 0:
            return "holds no audio"
        if seconds > self.window + TOLERANCE:
            return f"{seconds:.1f} s, longer than the recogniser's window of {self.window:.0f} s"
        if clip.language is not None and clip.language not in self.languages:
            return f"the recogniser knows no language {clip.language}"
        return None

    def _heard(self, clips: Sequence[Clip]) -> Heard:
        waves, faults, rate = {}, {}, self.listeners[0].any.sample_rate
        in_order = sorted(clips, key=lambda clip: (str(clip.audio), clip.start))
        for path, of_one in groupby(in_order, lambda clip: clip.audio):
            with audio.Reader(path) as reader:
                for clip in of_one:
                    try:
                        wave = reader.decode(rate, clip.start, clip.end)
                    except UserError as fault:
                        faults[clip.id] = str(fault)
                    else:
                        waves[clip.id] = wave[: round(self.window * rate)]
        readable = [clip for clip in clips if clip.id in waves]
        return Heard(readable, [waves[clip.id] for clip in readable], faults)


def unique(clips: Iterable[Clip]) -> list[Clip]:
    """The clips; UserError where two have one id, whose results could not be told apart."""
    clips = list(clips)
    seen = Counter(clip.id for clip in clips)
    twice = [name for name, count in seen.items() if count > 1]
    if twice:
        raise UserError(f"{len(twice)} clips share their id with another ({twice[0]}): give each its own.")
    return clips


def compression_ratio(text: str) -> float:
    """Bytes over compressed bytes, as Whisper has it (Radford 2022); 0 for none."""
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw)) if raw else 0.0


def _listeners(recognisers: Mapping[Kind, Recogniser]) -> list[_Listener]:
    """Recognisers grouped by their encoders."""
    groups: list[_Listener] = []
    for kind, recogniser in recognisers.items():
        for group in groups:
            if group.any.hears_like(recogniser):
                group.writers[kind] = recogniser
                break
        else:
            groups.append(_Listener({kind: recogniser}))
    return groups


def _written(listener: _Listener, states: Any, languages: Sequence[str]) -> dict[Kind, list[Transcript]]:
    """Transcripts of a batch by kind; one decoder writes all of its kinds side by side."""
    made: dict[Kind, list[Transcript]] = {}
    for recogniser in {id(writer): writer for writer in listener.writers.values()}.values():
        kinds: list[Kind] = [kind for kind, writer in listener.writers.items() if writer is recogniser]
        prompts = [recogniser.prompt(kind, language) for kind in kinds for language in languages]
        written = recogniser.write(states.repeat(len(kinds), 1, 1), prompts)
        for number, kind in enumerate(kinds):
            part = written[number * len(languages) : (number + 1) * len(languages)]
            made[kind] = [_transcript(recogniser, row) for row in part]
    return made


def _transcript(recogniser: Recogniser, row: Written) -> Transcript:
    text = recogniser.text(row.ids)
    length = max(1, len(text.encode()) + row.ended)
    return Transcript(text, row.log_probability / length, compression_ratio(text))
