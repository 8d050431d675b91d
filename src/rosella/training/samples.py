"""What the model says while it learns, and what somebody who listens makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from rosella import audio
from rosella.codec import Codec
from rosella.errors import UserError
from rosella.files import write_json
from rosella.model.config import DiaConfig
from rosella.model.transformer import Dia
from rosella.speak import Speaker, provenance
from rosella.training.recipe import SampleRecipe
from rosella.training.run import TrainingRun


@dataclass(frozen=True)
class Clip:
    """One thing said: float32 `waveform` [samples], which may be empty; `heard` is what a recogniser wrote down."""

    name: str
    text: str
    waveform: np.ndarray
    sample_rate: int
    stopped: bool
    heard: str | None = None

    @property
    def caption(self) -> str:
        return self.text if self.heard is None else f"{self.text} → {self.heard}"


@dataclass(frozen=True)
class Spoken:
    """All that was said at one step, and the values of it that were measured, by the keys of `measures.SPEECH`."""

    clips: list[Clip]
    values: Mapping[str, float | None] = field(default_factory=dict)


Listen = Callable[[Speaker], Spoken]
Sample = Callable[[Dia, DiaConfig], Spoken]


class Listening(Protocol):
    """What makes a `Listen` of a recipe, before the training begins; a UserError for what it cannot work with."""

    def __call__(self, recipe: SampleRecipe, codec: Codec) -> Listen: ...


def says(recipe: SampleRecipe, codec: Codec) -> Listen:
    """Speaks the recipe's texts and measures no more than whether they end; `evaluate.listening` scores sentences."""
    if recipe.sentences or recipe.recogniser:
        raise UserError(
            "samples.sentences and samples.recogniser need somebody who listens: run rosella train, or give "
            "train(…, listening=rosella.evaluate.listening.listener)."
        )
    return lambda speaker: speak_texts(recipe, speaker)


def speak_texts(recipe: SampleRecipe, speaker: Speaker) -> Spoken:
    """The recipe's texts, in voices of the model's own."""
    speeches = speaker.speak(recipe.texts, max_seconds=recipe.max_seconds, tries=1)
    clips = [
        Clip(str(number), text, speech.waveform, speech.sample_rate, speech.stopped)
        for number, (text, speech) in enumerate(zip(recipe.texts, speeches, strict=True))
    ]
    return Spoken(clips, {"stopped": float(np.mean([clip.stopped for clip in clips]))})


def keep(spoken: Spoken, run: TrainingRun, step: int) -> None:
    """Write `samples/<step>-<name>.wav`, and `samples/<step>.json` with what was said and heard."""
    run.samples.mkdir(exist_ok=True)
    lines = []
    for clip in spoken.clips:
        file = f"{step:08d}-{clip.name}.wav"
        if len(clip.waveform):
            audio.write(
                run.samples / file, clip.waveform, clip.sample_rate, provenance.marks(run.path.resolve().name)
            )
        said = {
            "text": clip.text,
            "heard": clip.heard,
            "stopped": clip.stopped,
            "sample_rate": clip.sample_rate,
        }
        lines.append({"audio": file if len(clip.waveform) else None, **said})
    write_json(run.samples / f"{step:08d}.json", lines)
