"""Let a model speak the sentences of a manifest and score it; one road for `rosella evaluate` and the demo.

`measure_references` reads the references once (they are the same for every model), `evaluate_model` scores a model
on them, `save_evaluation` and `load_evaluation` keep the outcome in a directory: `scores.json` and `audio/*.flac`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rosella import audio, dialogue
from rosella.codec import Codec
from rosella.codec.quality import stoi
from rosella.corpus.steps.transcribe import Transcriber
from rosella.errors import UserError
from rosella.evaluate import intelligibility, turns
from rosella.evaluate.identity import Voices
from rosella.evaluate.intelligibility import Retrieval, Wave
from rosella.evaluate.reading import NORMALISER, read_back
from rosella.evaluate.sentences import Sentence, VoiceClip
from rosella.evaluate.summary import ClipScore, Interval, intervals, statistics
from rosella.evaluate.voice import closeness
from rosella.files import write_text
from rosella.inference.settings import Blocks
from rosella.progress import Progress, unheard
from rosella.speak import Speaker, Speech, Voice, provenance
from rosella.speak.clips import codes as voice_codes

LONGEST_RATIO = 2.0
"""A clip gets this many times the seconds of the longest reference, then counts as not having stopped."""
SEEDS_APART = 10_000
"""The clips of one seed take as many seeds from it on as there are sentences."""


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
    recogniser: str = ""
    voices: Voices = field(default_factory=Voices)
    prompts: dict[VoiceClip, Voice] = field(default_factory=dict)  # as they were asked for, at 16 kHz

    @property
    def spoken(self) -> list[int]:
        """Indices of the sentences a model is asked to say."""
        return [index for index, sentence in enumerate(self.sentences) if sentence.speak]

    @property
    def facts(self) -> dict[str, str]:
        """By whom and how words were compared, if they were."""
        if self.transcriber is None:
            return {}
        return {
            "recogniser": self.recogniser,
            "recogniser_version": self.transcriber.version,
            "normaliser": NORMALISER,
        }

    def prompt(self, index: int) -> Voice | None:
        """The clip that shows a sentence's voice, at 16 kHz."""
        clip = self.sentences[index].voice
        if clip is None:
            return None
        if clip not in self.prompts:
            self.prompts[clip] = _voice(clip, intelligibility.SAMPLE_RATE)
        return self.prompts[clip]

    @cached_property
    def shown_voices(self) -> dict[str, np.ndarray]:
        """Embeddings of the voices that clips show one at a time, by speaker; empty where there is nothing to choose."""
        shown: dict[str, np.ndarray] = {}
        for index in self.spoken:
            sentence, prompt = self.sentences[index], self.prompt(index)
            if (
                prompt is None
                or sentence.speaker in shown
                or len(set(dialogue.speaker_tags(prompt.text))) > 1
            ):
                continue
            embedding = self.voices.embedding(prompt.audio)
            if embedding is not None:
                shown[sentence.speaker] = embedding
        return shown if len(shown) > 1 else {}

    def right_voice(self, index: int, wave: Wave) -> bool | None:
        """Whether a clip of a sentence, at 16 kHz, has its speaker's voice and none of the others'."""
        speaker, voices = self.sentences[index].speaker, self.shown_voices
        nearest = self.voices.nearest(wave, voices) if speaker in voices else None
        return None if nearest is None else nearest == speaker

    @property
    def groups(self) -> list[str]:
        return [sentence.group for sentence in self.sentences]

    @property
    def max_seconds(self) -> float:
        longest = max(len(self.references[index]) for index in self.spoken)
        return LONGEST_RATIO * longest / self.sample_rate


@dataclass(frozen=True)
class ModelEvaluation:
    """Scores of a model (`summary`, the keys of `summarise`) and of each clip, with the waveforms by id.

    The sentences with the first seed come first. `intervals` are those of the measures, `facts` say how it was done.
    """

    model: str
    summary: dict[str, float]
    clips: list[ClipScore]
    waves: dict[str, Wave]
    sample_rate: int
    intervals: dict[str, Interval] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def seeds(self) -> int:
        return int(self.facts.get("seeds", 1))

    @property
    def said(self) -> list[tuple[str, str]]:
        """Speaker and text of each sentence."""
        return [(clip.speaker, clip.text) for clip in self.clips[: len(self.clips) // self.seeds]]


def measure_references(
    sentences: Sequence[Sentence],
    codec: Codec,
    transcriber: Transcriber | None = None,
    recogniser: str = "",
) -> Yardstick:
    """Read the references at the codec's rate, send them through it and score what comes back.

    With a transcriber, by the name of `recogniser`, what is spoken is read back too.
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
        recogniser,
    )


def evaluate_model(
    name: str,
    speaker: Speaker,
    yardstick: Yardstick,
    seed: int = 0,
    max_seconds: float | None = None,
    progress: Progress = unheard,
    seeds: int = 1,
    blocks: Blocks | None = None,
) -> ModelEvaluation:
    """Generate every sentence to be spoken, once for each of `seeds`, and score it; `progress` hears how many are done.

    A clip that has not ended after `max_seconds` (default: `yardstick.max_seconds`) counts as not stopped. `blocks` are
    those of `Speaker.speak`.
    """
    start = time.perf_counter()
    limit, count = max_seconds or yardstick.max_seconds, len(yardstick.spoken)
    speeches: list[Speech] = []
    for number in range(seeds):
        first = seed + SEEDS_APART * number
        speeches += _speak_all(speaker, yardstick, first, limit, progress, number * count, blocks)
    work_seconds = time.perf_counter() - start
    sample_rate = speeches[0].sample_rate
    waves = [_not_empty(speech.waveform, sample_rate) for speech in speeches]
    generated = [_at_16k(wave, sample_rate) for wave in waves]
    references = [_at_16k(wave, yardstick.sample_rate) for wave in yardstick.references]
    own = yardstick.spoken * seeds
    found = intelligibility.sentence_retrieval(generated, references, own, yardstick.groups)
    told = Turns(speaker, yardstick)
    right = [told.right(at, speech) for at, speech in zip(own, speeches, strict=True)]
    clips = [
        _score(yardstick, wave, references, speeches[row].stopped, right[row], found, row)
        for row, wave in enumerate(generated)
    ]
    if seeds > 1:
        clips = [replace(clip, id=f"{clip.id}-{1 + row // count}") for row, clip in enumerate(clips)]
    clips = _read(clips, [yardstick.sentences[index] for index in own], generated, yardstick.transcriber)
    made_seconds = sum(map(len, waves)) / sample_rate
    summary = summarise(clips, found, yardstick, made_seconds, work_seconds) | told.control()
    by_id = {clip.id: wave for clip, wave in zip(clips, waves, strict=True)}
    return ModelEvaluation(
        name,
        summary,
        clips,
        by_id,
        sample_rate,
        intervals(clips, seeds),
        yardstick.facts | {"seeds": str(seeds)} | ({"blocks": str(blocks)} if blocks else {}),
    )


class Turns:
    """Which turns of dialogues are in the right voice, by a speaker whose model reads along."""

    def __init__(self, speaker: Speaker, yardstick: Yardstick) -> None:
        self._speaker, self._yardstick = speaker, yardstick
        self._known: dict[VoiceClip, dict[str, np.ndarray]] = {}

    def right(self, index: int, said: Speech) -> float | None:
        """The share of the turns of a sentence, as it was said; None where no clip shows two voices."""
        sentence, voices = self._yardstick.sentences[index], self._yardstick.voices
        if sentence.voice is None or not _of_several(sentence.text):
            return None
        known = self._shown(sentence.voice)
        return turns.share_right(
            voices, turns.turns(self._speaker, sentence.text, said.codes, said.waveform), known
        )

    def control(self) -> dict[str, float]:
        """Of the references through the codec; empty where none is a dialogue."""
        yardstick, shares = self._yardstick, list[float]()
        for index, wave in zip(yardstick.spoken, yardstick.round_trips, strict=True):
            if _of_several(yardstick.sentences[index].text):
                (codes,) = self._speaker.codec.encode([yardstick.references[index]])
                share = self.right(index, Speech(wave, yardstick.sample_rate, codes, stopped=True))
                shares += [] if share is None else [share]
        return {"turns_right_round_trip": float(np.mean(shares))} if shares else {}

    def _shown(self, clip: VoiceClip) -> dict[str, np.ndarray]:
        if clip not in self._known:
            speaker, voice = self._speaker, _voice(clip, self._speaker.codec.sample_rate)
            codes = voice_codes(voice, speaker.codec) if _of_several(clip.text) else []
            found = turns.turns(speaker, clip.text, np.asarray(codes), voice.audio)
            self._known[clip] = turns.by_tag(self._yardstick.voices, found)
        return self._known[clip]


def _of_several(text: str) -> bool:
    return len(set(dialogue.speaker_tags(text))) > 1


def summarise(
    clips: Sequence[ClipScore],
    found: Retrieval,
    yardstick: Yardstick,
    made_seconds: float,
    work_seconds: float,
) -> dict[str, float]:
    """The numbers of a model, by name; shares and rates from 0 to 1."""
    speed = made_seconds / work_seconds
    measured = statistics(clips)
    if yardstick.transcriber is None:
        measured = {key: value for key, value in measured.items() if key not in ("wer", "wer_kept", "lost")}
    else:
        measured["wer_round_trip"] = yardstick.control_wer
    return {
        "clips": len(clips),
        **measured,
        "retrieval_hits": found.hits,
        "retrieval_chance": found.chance,
        "retrieval_round_trip": yardstick.control.rate,
        "retrieval_shuffled_text": intelligibility.shuffled_text(found, yardstick.groups).rate,
        "frames_per_second": speed * yardstick.frame_rate,
        "real_time_factor": speed,
        "codec_stoi": yardstick.codec_stoi,
        "work_seconds": work_seconds,
    }


def save_evaluation(evaluation: ModelEvaluation, directory: Path) -> None:
    """Write `audio/<id>.flac` and then `scores.json`, whose presence says that the directory is complete."""
    (directory / "audio").mkdir(parents=True, exist_ok=True)
    marks = provenance.marks(evaluation.model)
    for clip, wave in evaluation.waves.items():
        audio.write(directory / "audio" / f"{clip}.flac", wave, evaluation.sample_rate, marks)
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
    summary = {key: math.nan if value is None else value for key, value in values["summary"].items()}
    ranges = {key: (low, high) for key, (low, high) in values.get("intervals", {}).items()}
    return ModelEvaluation(values["model"], summary, clips, waves, rate, ranges, values.get("facts", {}))


def to_dict(evaluation: ModelEvaluation) -> dict[str, Any]:
    """For JSON: everything but the waveforms; a number that could not be measured is null."""
    summary = {name: None if np.isnan(value) else value for name, value in evaluation.summary.items()}
    return {
        "model": evaluation.model,
        "sample_rate": evaluation.sample_rate,
        **({"facts": evaluation.facts} if evaluation.facts else {}),
        "summary": summary,
        "intervals": evaluation.intervals,
        "clips": [asdict(clip) for clip in evaluation.clips],
    }


def _speak_all(
    speaker: Speaker,
    yardstick: Yardstick,
    seed: int,
    max_seconds: float,
    progress: Progress,
    before: int,
    blocks: Blocks | None,
) -> list[Speech]:
    """Every sentence in its voice, in the order of `yardstick.spoken`. `before` clips were made before these."""
    sentences = [yardstick.sentences[index] for index in yardstick.spoken]
    clips = {sentence.voice for sentence in sentences}
    voices = {clip: clip and _voice(clip, yardstick.sample_rate) for clip in clips}
    return speaker.speak(
        [sentence.text for sentence in sentences],
        voice=[voices[sentence.voice] for sentence in sentences],
        seed=seed,
        max_seconds=max_seconds,
        tries=1,
        blocks=blocks,
        progress=lambda done, note="": progress(before + done, note),
    )


def _reference(sentence: Sentence, sample_rate: int) -> Wave:
    """At the loudness every codec is given, which is also the loudness of what a model says."""
    return audio.normalise_loudness(audio.decode(sentence.audio, sample_rate), sample_rate)


def _voice(clip: VoiceClip, sample_rate: int) -> Voice:
    return Voice(audio.decode(clip.audio, sample_rate, clip.start, clip.end), sample_rate, clip.text)


def _score(
    yardstick: Yardstick,
    wave: Wave,
    references: Sequence[Wave],
    stopped: bool,
    turns_right: float | None,
    found: Retrieval,
    row: int,
) -> ClipScore:
    """Score one clip; all waveforms at 16 kHz."""
    own = int(found.own[row])
    sentence, reference, prompt = yardstick.sentences[own], references[own], yardstick.prompt(own)
    close = closeness(wave, reference)
    return ClipScore(
        id=sentence.id,
        speaker=sentence.speaker,
        language=sentence.language,
        text=sentence.text,
        rank=int(found.ranks[row]),
        candidates=int(found.candidates[row]),
        stopped=bool(stopped),
        seconds=_speech_seconds(wave),
        reference_seconds=_speech_seconds(reference),
        pitch_semitones=None if np.isnan(close.pitch_semitones) else close.pitch_semitones,
        spectrum_db=close.spectrum_db,
        similarity=yardstick.voices.similarity(wave, reference if prompt is None else prompt.audio),
        voice_right=yardstick.right_voice(own, wave),
        turns_right=turns_right,
    )


def _speech_seconds(wave: Wave) -> float:
    start, end = audio.speech_span(wave, intelligibility.SAMPLE_RATE)
    return end - start


def _read(
    clips: list[ClipScore],
    sentences: Sequence[Sentence],
    waves: Sequence[Wave],
    transcriber: Transcriber | None,
) -> list[ClipScore]:
    """The clips with what a recogniser hears in them."""
    if transcriber is None:
        return clips
    reading = read_back(transcriber, sentences, waves)
    return [
        replace(clip, heard=heard, word_edits=errors.edits, words=errors.length)
        for clip, heard, errors in zip(clips, reading.heard, reading.errors, strict=True)
    ]


def _not_empty(wave: np.ndarray, sample_rate: int) -> Wave:
    """A model may stop at once; 0.1 s of silence can be scored, stored and played."""
    return wave if len(wave) else np.zeros(sample_rate // 10, np.float32)


def _at_16k(wave: np.ndarray, sample_rate: int) -> Wave:
    return audio.resample(wave, sample_rate, intelligibility.SAMPLE_RATE)
