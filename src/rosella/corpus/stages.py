"""The stages a recording passes, in order: who speaks when, utterances, what they say, codes."""

from __future__ import annotations

from collections.abc import Container, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from rosella import dialogue
from rosella.corpus.ahead import Expected
from rosella.corpus.diarization.turns import Diarization, Diarizer, SpeakerTurn
from rosella.corpus.segment import FASTEST, SHORTEST, Cutting, cut, quietest
from rosella.corpus.stage import DIARIZE, SEGMENT, TOKENIZE, TRANSCRIBE, Known, StageResult
from rosella.corpus.tokenize import CodesCache, Decoded, Encoder, decoded, encoded, version
from rosella.corpus.transcribe import REPETITIVE, SILENT, Clip, Heard, Transcriber, Transcription
from rosella.errors import RosellaError, UserError
from rosella.records import Recording, Reject, Turn, Utterance

NONE = "none"
"""The version of a stage that was given nothing to work with."""

MODEL = "model"


@dataclass(frozen=True)
class DiarizeStage:
    """Finds the turns of recordings that came without any, and remembers the voices of everybody."""

    catalogue: Known
    diarizer: Diarizer | None
    name: str = DIARIZE

    @property
    def version(self) -> str:
        return self.diarizer.version if self.diarizer else NONE

    def run(self, recording: Recording) -> StageResult:
        if turns := self.catalogue.turns(recording.id):
            return StageResult(embeddings=self._embedded(recording, turns))
        if self.diarizer is None:
            raise UserError("It came without turns: run with a diarizer.")
        found = self.diarizer.diarize(recording.audio)
        return StageResult(turns=_turns(found), embeddings=found.embeddings)

    def _embedded(self, recording: Recording, turns: Sequence[Turn]) -> dict[str, np.ndarray] | None:
        if self.diarizer is None:
            return None
        alone = [SpeakerTurn(t.start, t.end, t.speaker) for t in turns if not dialogue.speaker_tags(t.text)]
        try:
            return self.diarizer.embed(recording.audio, alone)
        except UserError:
            return {}  # audio that cannot be read fails where it is turned into codes


@dataclass(frozen=True)
class SegmentStage:
    """Cuts turns into utterances; those that are to be transcribed fit the recogniser's `window` of seconds."""

    catalogue: Known
    cutting: Cutting
    window: float | None = None
    name: str = SEGMENT

    @property
    def version(self) -> str:
        return self.cutting.version + (f":{self.window:g}" if self.window else "")

    def run(self, recording: Recording) -> StageResult:
        turns = self.catalogue.turns(recording.id, origin=None)
        cutting = self.cutting
        if self.window and not any(turn.text for turn in turns):
            cutting = replace(cutting, max_seconds=min(self.window, cutting.max_seconds))
        return StageResult(*cut(recording, turns, cutting, partial(quietest, recording.audio)))


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
            made = self.transcriber.transcribed(batches)
        written = {
            u.id: _written(u, made.transcriptions[u.id]) for u in utterances if u.id in made.transcriptions
        }
        reasons = made.rejects | {name: reason for name, (_, reason) in written.items() if reason}
        rejects = [Reject(u.start, u.end, reasons[u.id]) for u in utterances if u.id in reasons]
        return StageResult([written[u.id][0] if u.id in written else u for u in utterances], rejects)

    def _due(self, recording: Recording) -> list[Clip]:
        return _clips(recording, self.catalogue.utterances(recording.id))

    def _read(self, _: Recording, clips: list[Clip]) -> Generator[Heard]:
        assert self.transcriber
        return self.transcriber.read(clips)


@dataclass
class TokenizeStage:
    """Turns utterances into codes, reusing those whose span is unchanged."""

    catalogue: Known
    cache: CodesCache
    codec: Encoder
    name: str = TOKENIZE

    @property
    def version(self) -> str:
        return version(self.codec)

    def __post_init__(self) -> None:
        self._expected = Expected(self._due, self._decoded)

    def expect(self, recording: Recording | None) -> None:
        self._expected.expect(recording)

    def run(self, recording: Recording) -> StageResult:
        worded, known = self._worded(recording), self._known(recording.id)
        missing, kept = _missing(worded, known), known.intersection(u.id for u in worded)
        rejects: list[Reject] = []
        with self._expected.take(recording, missing) as batches, self.cache.writing(recording.id) as add:
            for utterance, codes in self.cache.read(recording.id) if kept else ():
                if utterance in kept:
                    add(utterance, codes)
            for fresh, without in encoded(batches, self.codec):
                rejects += without
                for utterance, codes in fresh.items():
                    add(utterance, codes)
        return StageResult(None, rejects)

    def _worded(self, recording: Recording) -> list[Utterance]:
        return [u for u in self.catalogue.utterances(recording.id) if u.text]

    def _due(self, recording: Recording) -> list[Utterance]:
        return _missing(self._worded(recording), self._known(recording.id))

    def _decoded(self, recording: Recording, utterances: list[Utterance]) -> Generator[Decoded]:
        return decoded(recording, utterances, self.codec.sample_rate)

    def _known(self, recording: str) -> set[str]:
        try:
            return {utterance for utterance, _ in self.cache.read(recording)}
        except RosellaError:
            return set()


def _clips(recording: Recording, utterances: Sequence[Utterance]) -> list[Clip]:
    """What a recogniser is to write down."""
    return [
        Clip(u.id, recording.audio, u.start, u.end, recording.language)
        for u in utterances
        if u.transcript_source == MODEL
    ]


def _missing(utterances: Sequence[Utterance], known: Container[str]) -> list[Utterance]:
    """Those that have no codes yet."""
    return [u for u in utterances if u.id not in known]


def _turns(found: Diarization) -> list[Turn]:
    """Where one alone speaks, and where several do."""
    alone = [
        Turn(start, end, turn.speaker, "")
        for turn in found.turns
        for start, end in _without(turn.start, turn.end, found.overlaps)
    ]
    together = [Turn(start, end, "", "", overlap=True) for start, end in found.overlaps]
    return sorted([*alone, *together], key=lambda turn: turn.start)


def _without(start: float, end: float, holes: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """The parts of a span outside the holes, which are in order of time."""
    for low, high in holes:
        if low < end and high > start:
            if low - start >= SHORTEST:
                yield start, low
            start = max(start, high)
    if end - start >= SHORTEST:
        yield start, end


def _written(utterance: Utterance, made: Transcription) -> tuple[Utterance, str | None]:
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
