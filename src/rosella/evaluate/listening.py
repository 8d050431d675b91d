"""Scoring what a model says while it learns: `rosella evaluate` on a few sentences, at every listening of a run."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from rosella import audio
from rosella.codec import Codec
from rosella.corpus.steps.transcribe import Transcriber
from rosella.evaluate.intelligibility import SAMPLE_RATE
from rosella.evaluate.reading import read_back, reader
from rosella.evaluate.sentences import Sentence, read_sentences
from rosella.evaluate.speaking import ModelEvaluation, Yardstick, evaluate_model, measure_references
from rosella.measures import CONTROLS, SPEECH
from rosella.speak import Speaker
from rosella.training.recipe import SampleRecipe
from rosella.training.samples import Clip, Listen, Spoken, speak_texts


def listener(recipe: SampleRecipe, codec: Codec) -> Listen:
    """Says the recipe's texts and sentences and scores the sentences; without these, the texts as far as they can be.

    The references are measured once, here. A UserError says what cannot be read.
    """
    transcriber = reader(recipe.recogniser) if recipe.recogniser else None
    yardstick: Yardstick | None = None
    if recipe.sentences:
        yardstick = measure_references(
            read_sentences(recipe.sentences), codec, transcriber, recipe.recogniser or ""
        )

    def listen(speaker: Speaker) -> Spoken:
        said = _texts(recipe, speaker, transcriber) if recipe.texts else Spoken([])
        if yardstick is None:
            return said
        evaluation = evaluate_model("", speaker, yardstick, max_seconds=recipe.max_seconds)
        return Spoken([*said.clips, *_clips(evaluation)], _values(evaluation))

    return listen


def _texts(recipe: SampleRecipe, speaker: Speaker, transcriber: Transcriber | None) -> Spoken:
    said = speak_texts(recipe, speaker)
    if transcriber is None:
        return said
    sentences = [Sentence(clip.name, clip.text, Path()) for clip in said.clips]
    waves = [audio.resample(_audible(clip), clip.sample_rate, SAMPLE_RATE) for clip in said.clips]
    reading = read_back(transcriber, sentences, waves)
    clips = [replace(clip, heard=heard) for clip, heard in zip(said.clips, reading.heard, strict=True)]
    return Spoken(clips, {**said.values, "wer": reading.wer})


def _audible(clip: Clip) -> np.ndarray:
    return clip.waveform if len(clip.waveform) else np.zeros(clip.sample_rate // 10, np.float32)


def _clips(evaluation: ModelEvaluation) -> list[Clip]:
    return [
        Clip(clip.id, clip.text, evaluation.waves[clip.id], evaluation.sample_rate, clip.stopped, clip.heard)
        for clip in evaluation.clips
    ]


def _values(evaluation: ModelEvaluation) -> dict[str, float | None]:
    keys = [*(measure.key for measure in SPEECH), *CONTROLS]
    values = {key: evaluation.summary[key] for key in keys if key in evaluation.summary}
    return {key: None if math.isnan(value) else value for key, value in values.items()}
