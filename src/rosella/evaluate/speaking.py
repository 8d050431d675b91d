"""Let a model speak the sentences of a manifest and score it; one road for `rosella evaluate` and the demo.

`measure_references` reads the references once (they are the same for every model), `evaluate_model` scores a model
on them, `save_evaluation` and `load_evaluation` keep the outcome in a directory: `scores.json` and `audio/*.flac`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rosella import audio
from rosella.codec import Codec
from rosella.codec.quality import stoi
from rosella.corpus.steps.transcribe import Transcriber
from rosella.errors import UserError
from rosella.evaluate import intelligibility, pace
from rosella.evaluate.intelligibility import Retrieval, Wave
from rosella.evaluate.reading import read_back
from rosella.evaluate.sentences import Sentence, VoiceClip
from rosella.evaluate.voice import closeness
from rosella.files import write_text
from rosella.progress import Progress, unheard
from rosella.speak import Speaker, Speech, Voice

LONGEST_RATIO = 2.0
"""A clip gets this many times the seconds of the longest reference, then counts as not having stopped."""


@dataclass(frozen=True)
class Yardstick:
    """References to measure against, in the order of `sentences`; waveforms are at `sample_rate`."""

    sentences: list[Sentence]
    references: list[Wave]
    round_trips: list[Wave]  # through the codec, in the order of `spoken`
    sample_rate: int
    frame_rate: float
    control: Retrieval  # of the round trips: what a model that speaks perfectly could reach
    codec_stoi: float
    transcriber: Transcriber | None = None
    control_wer: float = math.nan  # of the round trips, by the transcriber

    @property
    def spoken(self) -> list[int]:
        """Indices of the sentences a model is asked to say."""
        return [index for index, sentence in enumerate(self.sentences) if sentence.speak]

    @property
    def groups(self) -> list[str]:
        return [sentence.group for sentence in self.sentences]

    @property
    def max_seconds(self) -> float:
        longest = max(len(self.references[index]) for index in self.spoken)
        return LONGEST_RATIO * longest / self.sample_rate


@dataclass(frozen=True)
class ClipScore:
    """One generated sentence. `rank` 1 of `candidates`: its own reference was the nearest."""

    id: str
    speaker: str
    language: str
    text: str
    rank: int
    candidates: int
    stopped: bool
    seconds: float
    reference_seconds: float
    pitch_semitones: float | None
    spectrum_db: float
    heard: str | None = None
    """What a recogniser read back."""


@dataclass(frozen=True)
class ModelEvaluation:
    """Scores of a model (`summary`, the keys of `summarise`) and of each clip, with the waveforms by id."""

    model: str
    summary: dict[str, float]
    clips: list[ClipScore]
    waves: dict[str, Wave]
    sample_rate: int


def measure_references(
    sentences: Sequence[Sentence], codec: Codec, transcriber: Transcriber | None = None
) -> Yardstick:
    """Read the references at the codec's rate, send them through it and score what comes back.

    With a transcriber, what is spoken is read back too.
    """
    references = [_reference(sentence, codec.sample_rate) for sentence in sentences]
    spoken = [index for index, sentence in enumerate(sentences) if sentence.speak]
    heard = [references[index] for index in spoken]
    round_trips = codec.decode(codec.encode(heard))
    coded = [_at_16k(wave, codec.sample_rate) for wave in round_trips]
    control = intelligibility.sentence_retrieval(
        coded,
        [_at_16k(wave, codec.sample_rate) for wave in references],
        spoken,
        [sentence.group for sentence in sentences],
    )
    pairs = zip(heard, round_trips, strict=True)
    similarity = float(np.mean([stoi(clean, back, codec.sample_rate) for clean, back in pairs]))
    wanted = [sentences[index] for index in spoken]
    return Yardstick(
        list(sentences),
        references,
        round_trips,
        codec.sample_rate,
        codec.frame_rate,
        control,
        similarity,
        transcriber,
        read_back(transcriber, wanted, coded).wer if transcriber else math.nan,
    )


def evaluate_model(
    name: str,
    speaker: Speaker,
    yardstick: Yardstick,
    seed: int = 0,
    max_seconds: float | None = None,
    progress: Progress = unheard,
) -> ModelEvaluation:
    """Generate every sentence to be spoken and score it; `progress` hears how many are done.

    A clip that has not ended after `max_seconds` (default: `yardstick.max_seconds`) counts as not stopped.
    """
    start = time.perf_counter()
    speeches = _speak_all(speaker, yardstick, seed, max_seconds or yardstick.max_seconds, progress)
    work_seconds = time.perf_counter() - start
    spoken = yardstick.spoken
    sample_rate = speeches[0].sample_rate
    spoken_waves = [_not_empty(speech.waveform, sample_rate) for speech in speeches]
    generated = [_at_16k(wave, sample_rate) for wave in spoken_waves]
    references = [_at_16k(wave, yardstick.sample_rate) for wave in yardstick.references]
    found = intelligibility.sentence_retrieval(generated, references, spoken, yardstick.groups)
    clips = [
        _score(yardstick.sentences[own], wave, references[own], speech.stopped, found, row)
        for row, (own, wave, speech) in enumerate(zip(spoken, generated, speeches, strict=True))
    ]
    summary = summarise(clips, found, yardstick, work_seconds)
    if yardstick.transcriber is not None:
        reading = read_back(yardstick.transcriber, [yardstick.sentences[own] for own in spoken], generated)
        clips = [replace(clip, heard=heard) for clip, heard in zip(clips, reading.heard, strict=True)]
        summary |= {"wer": reading.wer, "wer_round_trip": yardstick.control_wer}
    waves = {clip.id: wave for clip, wave in zip(clips, spoken_waves, strict=True)}
    return ModelEvaluation(name, summary, clips, waves, sample_rate)


def summarise(
    clips: Sequence[ClipScore], found: Retrieval, yardstick: Yardstick, work_seconds: float
) -> dict[str, float]:
    """The numbers of a model, by name; shares and rates from 0 to 1."""
    paces = pace.measure(
        [clip.stopped for clip in clips],
        [clip.seconds for clip in clips],
        [clip.reference_seconds for clip in clips],
        yardstick.frame_rate,
        work_seconds,
    )
    pitches = [clip.pitch_semitones for clip in clips if clip.pitch_semitones is not None]
    return {
        "clips": len(clips),
        "retrieval": found.rate,
        "retrieval_hits": found.hits,
        "retrieval_chance": found.chance,
        "retrieval_round_trip": yardstick.control.rate,
        "retrieval_shuffled_text": intelligibility.shuffled_text(found, yardstick.groups).rate,
        **asdict(paces),
        "pitch_semitones": float(np.median(pitches)) if pitches else float("nan"),
        "spectrum_db": float(np.median([clip.spectrum_db for clip in clips])),
        "codec_stoi": yardstick.codec_stoi,
        "work_seconds": work_seconds,
    }


def save_evaluation(evaluation: ModelEvaluation, directory: Path) -> None:
    """Write `audio/<id>.flac` and then `scores.json`, whose presence says that the directory is complete."""
    (directory / "audio").mkdir(parents=True, exist_ok=True)
    for clip, wave in evaluation.waves.items():
        audio.write(directory / "audio" / f"{clip}.flac", wave, evaluation.sample_rate)
    write_text(directory / "scores.json", json.dumps(to_dict(evaluation), indent=1, ensure_ascii=False))


def load_evaluation(directory: Path) -> ModelEvaluation:
    """Inverse of `save_evaluation`."""
    try:
        values = json.loads((directory / "scores.json").read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{directory} holds no scores; run rosella evaluate again.") from error
    clips = [ClipScore(**clip) for clip in values["clips"]]
    rate = values["sample_rate"]
    waves = {clip.id: audio.decode(directory / "audio" / f"{clip.id}.flac", rate) for clip in clips}
    return ModelEvaluation(values["model"], values["summary"], clips, waves, rate)


def to_dict(evaluation: ModelEvaluation) -> dict[str, Any]:
    """For JSON: everything but the waveforms; a number that could not be measured is null."""
    summary = {name: None if np.isnan(value) else value for name, value in evaluation.summary.items()}
    return {
        "model": evaluation.model,
        "sample_rate": evaluation.sample_rate,
        "summary": summary,
        "clips": [asdict(clip) for clip in evaluation.clips],
    }


def _speak_all(
    speaker: Speaker, yardstick: Yardstick, seed: int, max_seconds: float, progress: Progress
) -> list[Speech]:
    """One batch per voice; the results in the order of `yardstick.spoken`."""
    batches: dict[VoiceClip | None, list[int]] = {}
    for index in yardstick.spoken:
        batches.setdefault(yardstick.sentences[index].voice, []).append(index)
    speeches: dict[int, Speech] = {}
    for clip, indices in batches.items():
        voice = _voice(clip, yardstick.sample_rate) if clip else None
        texts = [yardstick.sentences[index].text for index in indices]
        batch = speaker.speak(texts, voice=voice, seed=seed, max_seconds=max_seconds)
        speeches.update(zip(indices, batch, strict=True))
        progress(len(speeches))
    return [speeches[index] for index in yardstick.spoken]


def _reference(sentence: Sentence, sample_rate: int) -> Wave:
    """At the loudness every codec is given, which is also the loudness of what a model says."""
    return audio.normalise_loudness(audio.decode(sentence.audio, sample_rate), sample_rate)


def _voice(clip: VoiceClip, sample_rate: int) -> Voice:
    return Voice(audio.decode(clip.audio, sample_rate, clip.start, clip.end), sample_rate, clip.text)


def _score(
    sentence: Sentence, wave: Wave, reference: Wave, stopped: bool, found: Retrieval, row: int
) -> ClipScore:
    """Score one clip; both waveforms at 16 kHz."""
    close = closeness(wave, reference)
    return ClipScore(
        id=sentence.id,
        speaker=sentence.speaker,
        language=sentence.language,
        text=sentence.text,
        rank=int(found.ranks[row]),
        candidates=int(found.candidates[row]),
        stopped=bool(stopped),
        seconds=len(wave) / intelligibility.SAMPLE_RATE,
        reference_seconds=len(reference) / intelligibility.SAMPLE_RATE,
        pitch_semitones=None if np.isnan(close.pitch_semitones) else close.pitch_semitones,
        spectrum_db=close.spectrum_db,
    )


def _not_empty(wave: np.ndarray, sample_rate: int) -> Wave:
    """A model may stop at once; 0.1 s of silence can be scored, stored and played."""
    return wave if len(wave) else np.zeros(sample_rate // 10, np.float32)


def _at_16k(wave: np.ndarray, sample_rate: int) -> Wave:
    return audio.resample(wave, sample_rate, intelligibility.SAMPLE_RATE)
