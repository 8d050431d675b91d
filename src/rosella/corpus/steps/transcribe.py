"""From clips of recordings to their verbatim and clean transcripts, in batches of alike lengths.

Results are keyed by the clip's id, whatever order, gaps and failures there are on the way.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from rosella import audio, dialogue
from rosella.corpus.ahead import Ahead, Expected
from rosella.corpus.disfluencies import fillers, remove_disfluencies
from rosella.corpus.recogniser import Clip, Kind, Recogniser, Transcribed, Transcript, Transcription, Written
from rosella.corpus.stage import NONE, TRANSCRIBE, Known, StageResult
from rosella.corpus.steps.segment import FASTEST
from rosella.errors import UserError
from rosella.records import Recording, Reject, Utterance

VERSION = "3"
MODEL = "model"
SILENT, REPETITIVE = 0.6, 2.4
"""No-speech probability and compression above which Whisper's authors distrust a transcript (Radford 2022)."""

UNSURE = 3.0
"""Nats of a tag that a recogniser may well have left out: there was a chance of one in twenty that nobody else goes on."""

TOLERANCE = 0.01
"""Seconds by which a clip may exceed the window (times are rounded); it is cut there."""


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

    def transcribe(
        self, clips: Iterable[Clip], report: Callable[[int], None] = lambda done: None
    ) -> Transcribed:
        """Transcribe clips in any order; those without a transcript have a reason. `report` hears how many are done."""
        with Ahead(self.read(clips)) as batches:
            return self.write_down(batches, report)

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

    def write_down(
        self, batches: Iterable[Heard], report: Callable[[int], None] = lambda done: None
    ) -> Transcribed:
        """What `transcribe` gives, of clips that were read."""
        made = Transcribed()
        for batch in batches:
            made.rejects |= batch.rejects
            made.transcriptions |= self.write(batch.clips, batch.waves)
            report(len(made.transcriptions) + len(made.rejects))
        return made

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
            alone = [clip.speakers == 1 for clip in clips]
            for kind, transcripts in _written(
                listener, states, [str(name) for name in languages], alone
            ).items():
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


def _clips(recording: Recording, utterances: Sequence[Utterance]) -> list[Clip]:
    """What a recogniser is to write down."""
    return [
        Clip(u.id, recording.audio, u.start, u.end, recording.language, len(u.speakers))
        for u in utterances
        if u.transcript_source == MODEL
    ]


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


def _written(
    listener: _Listener, states: Any, languages: Sequence[str], alone: Sequence[bool]
) -> dict[Kind, list[Transcript]]:
    """Transcripts of a batch by kind, of rows in which one is known to speak `alone` or not; one decoder writes all of its
    kinds side by side.
    """
    made: dict[Kind, list[Transcript]] = {}
    for recogniser in {id(writer): writer for writer in listener.writers.values()}.values():
        kinds: list[Kind] = [kind for kind, writer in listener.writers.items() if writer is recogniser]
        prompts = [recogniser.prompt(kind, language) for kind in kinds for language in languages]
        written = recogniser.write(states.repeat(len(kinds), 1, 1), prompts)
        for number, (row, prompt) in enumerate(zip(written, prompts, strict=True)):
            place = number % len(languages)
            if alone[place]:
                written[number] = _of_one(recogniser, states[place : place + 1], prompt, row)
        for number, kind in enumerate(kinds):
            part = written[number * len(languages) : (number + 1) * len(languages)]
            made[kind] = [_transcript(recogniser, row) for row in part]
    return made


def _of_one(recogniser: Recogniser, state: Any, prompt: Sequence[int], row: Written) -> Written:
    """The words as one speaker's, where several were written by a recogniser that was not sure of them.

    Who speaks is told better by voices than by a recogniser, unless that is sure.
    """
    text = recogniser.text(row.ids)
    changes = sum(before != after for before, after in pairwise(dialogue.speaker_tags(text)))
    if not changes:
        return row
    weighed = recogniser.weigh(state, prompt, f"{dialogue.TAGS[0]} {dialogue.untagged(text)}")
    return weighed if row.log_probability - weighed.log_probability <= UNSURE * changes else row


def _transcript(recogniser: Recogniser, row: Written) -> Transcript:
    text = recogniser.text(row.ids)
    length = max(1, len(text.encode()) + row.ended)
    return Transcript(text, row.log_probability / length, compression_ratio(text))


@dataclass
class TranscribeStage:
    """Writes down what is said in utterances that came without a transcript."""

    catalogue: Known
    transcriber: Transcriber | None
    name: str = TRANSCRIBE

    @property
    def version(self) -> str:
        return self.transcriber.version if self.transcriber else NONE

    def __post_init__(self) -> None:
        self._expected = Expected(self._due, self._read)

    def expect(self, recording: Recording | None) -> None:
        self._expected.expect(recording)

    def run(self, recording: Recording) -> StageResult:
        utterances = self.catalogue.utterances(recording.id)
        clips = _clips(recording, utterances)
        if not clips:
            return StageResult()
        if self.transcriber is None:
            raise UserError("It came without a transcript: run with a recogniser.")
        with self._expected.take(recording, clips) as batches:
            made = self.transcriber.write_down(batches)
        written = {
            u.id: _judged(u, made.transcriptions[u.id]) for u in utterances if u.id in made.transcriptions
        }
        reasons = made.rejects | {name: reason for name, (_, reason) in written.items() if reason}
        rejects = [Reject(u.start, u.end, reasons[u.id]) for u in utterances if u.id in reasons]
        return StageResult([written[u.id][0] if u.id in written else u for u in utterances], rejects)

    def _due(self, recording: Recording) -> list[Clip]:
        return _clips(recording, self.catalogue.utterances(recording.id))

    def _read(self, _: Recording, clips: list[Clip]) -> Generator[Heard]:
        assert self.transcriber
        return self.transcriber.read(clips)


def _judged(utterance: Utterance, made: Transcription) -> tuple[Utterance, str | None]:
    """The utterance with its transcript, or without one and the reason."""
    clean, verbatim = (made.transcripts.get(kind) for kind in ("clean", "verbatim"))
    best = verbatim or made.transcripts["clean"]
    heard = replace(
        utterance,
        text="",
        text_clean=None,
        language=made.language,
        confidence=None,
        no_speech=made.no_speech,
        compression=best.compression,
    )
    if made.no_speech > SILENT or not best.text.strip():
        return heard, "the recogniser heard no speech"
    if best.compression > REPETITIVE:
        return heard, "the transcript repeats itself"
    if len(best.text) > FASTEST * (utterance.end - utterance.start):
        return heard, "the transcript is longer than anybody could say in its time"
    try:
        said = _tagged(best.text, len(utterance.speakers))
        tidy = _tidy(clean.text, len(utterance.speakers)) if clean and clean.text.strip() else None
    except UserError as error:
        return heard, str(error)
    return replace(heard, text=said, text_clean=tidy, confidence=best.log_probability), None


def _tidy(written: str, speakers: int) -> str:
    """The clean transcript; an ordinary Whisper writes none of the tags of several speakers, and need not."""
    said = dialogue.normalise(written).strip()
    return _tagged(said, speakers) if speakers == 1 or dialogue.speaker_tags(said) else said


def _tagged(written: str, speakers: int) -> str:
    """The transcript, with the one speaker's tag where it has none; refused where it names others than were heard."""
    said = dialogue.normalise(written).strip()
    tags = list(dict.fromkeys(dialogue.speaker_tags(said)))
    if not tags and speakers == 1:
        return f"{dialogue.TAGS[0]} {said}"
    if len(tags) > speakers or tags != list(dialogue.TAGS[: len(tags)]) or not tags:
        raise UserError(f"The transcript names {len(tags)} speakers where {speakers} were heard.")
    return said
