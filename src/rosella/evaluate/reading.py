"""Reading speech back: what a recogniser hears in clips, and its word errors against what should be said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from rosella.asr.scores import Errors, Pair, word_errors
from rosella.corpus.recogniser import Clip, Transcript, Transcription
from rosella.corpus.steps.transcribe import REPETITIVE, SILENT, Transcriber
from rosella.corpus.words import plain_words
from rosella.evaluate.intelligibility import SAMPLE_RATE, Wave
from rosella.records import LEAST_SURE

if TYPE_CHECKING:
    from rosella.evaluate.sentences import Sentence

NORMALISER = "words alone: no case, punctuation, speaker tags or events; numbers as they are written"
"""What is done to both texts before their words are compared (`corpus.words.plain_words`)."""


@dataclass(frozen=True)
class Reading:
    """What was heard of each clip, and its word errors against what should be said."""

    heard: list[str]
    errors: list[Errors]

    @property
    def wer(self) -> float:
        """Of all clips together."""
        return sum(each.edits for each in self.errors) / max(1, sum(each.length for each in self.errors))


@dataclass(frozen=True)
class Dictation:
    """What was heard in a clip, and why that is not to be believed; None where it is."""

    text: str
    doubt: str | None = None


def reader(recogniser: str) -> Transcriber:
    """What writes down every word that is said, fillers included, if the recogniser can."""
    from rosella import devices
    from rosella.asr.recogniser import Recogniser

    loaded = Recogniser.load(recogniser, devices.share_card())
    return Transcriber({loaded.kinds[0]: loaded})


def write_down(
    transcriber: Transcriber, source: str | PathLike[str], seconds: float, language: str | None = None
) -> Dictation:
    """What is said in a file of so many seconds; its language is guessed where the recogniser does not know it."""
    known = language if language in transcriber.languages else None
    clip = Clip("", source, 0.0, seconds, known)
    made = transcriber.transcribe([clip])
    if reason := made.rejects.get(clip.id):
        return Dictation("", reason)
    heard = made.transcriptions[clip.id]
    return Dictation(_written(heard).text, _doubt(heard))


def read_back(transcriber: Transcriber, sentences: Sequence[Sentence], waves: Sequence[Wave]) -> Reading:
    """Transcribe 16 kHz clips, of which the recogniser hears as much as its window holds."""
    window, size = round(transcriber.window * SAMPLE_RATE), transcriber.batch_size
    order = sorted(range(len(waves)), key=lambda index: len(waves[index]))
    heard = [""] * len(waves)
    for first in range(0, len(order), size):
        batch = order[first : first + size]
        cut = [waves[index][:window] for index in batch]
        clips = [
            Clip(str(index), Path(), 0.0, len(wave) / SAMPLE_RATE, _language(transcriber, sentences[index]))
            for index, wave in zip(batch, cut, strict=True)
        ]
        for name, made in transcriber.write(clips, cut).items():
            heard[int(name)] = _written(made).text
    errors = [
        errors_against(sentence.text, written) for sentence, written in zip(sentences, heard, strict=True)
    ]
    return Reading(heard, errors)


def errors_against(text: str, heard: str) -> Errors:
    """Word errors of what was heard against what should be said, compared as `NORMALISER` says."""
    return word_errors(Pair(" ".join(plain_words(text)), " ".join(plain_words(heard))))


def _language(transcriber: Transcriber, sentence: Sentence) -> str | None:
    """Where the recogniser does not know the sentence's language, it guesses."""
    return sentence.language if sentence.language in transcriber.languages else None


def _doubt(heard: Transcription) -> str | None:
    """Why what was heard is not to be believed."""
    written = _written(heard)
    if heard.no_speech > SILENT or not written.text.strip():
        return "it hears no speech"
    guessed = written.log_probability < LEAST_SURE or written.compression > REPETITIVE
    return f"it only guesses {written.text!r}" if guessed else None


def _written(heard: Transcription) -> Transcript:
    return next(iter(heard.transcripts.values()))
