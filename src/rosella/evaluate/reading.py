"""Reading speech back: what a recogniser hears in clips, and its word errors against what should be said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rosella.asr.scores import Pair, plain_words, score
from rosella.corpus.recogniser import Clip
from rosella.corpus.steps.transcribe import Transcriber
from rosella.evaluate.intelligibility import SAMPLE_RATE, Wave

if TYPE_CHECKING:
    from rosella.evaluate.sentences import Sentence


@dataclass(frozen=True)
class Reading:
    """What was heard of each clip, and the word errors of all together, without tags and events."""

    heard: list[str]
    wer: float


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
            heard[int(name)] = next(iter(made.transcripts.values())).text
    return Reading(heard, word_error_rate(sentences, heard))


def word_error_rate(sentences: Sequence[Sentence], heard: Sequence[str]) -> float:
    """Word errors over all words that should be said, whoever should say them."""
    pairs = [
        Pair(" ".join(plain_words(sentence.text)), " ".join(plain_words(written)), sentence.language or None)
        for sentence, written in zip(sentences, heard, strict=True)
    ]
    return score(pairs).words.rate or 0.0


def _language(transcriber: Transcriber, sentence: Sentence) -> str | None:
    """Where the recogniser does not know the sentence's language, it guesses."""
    return sentence.language if sentence.language in transcriber.languages else None
