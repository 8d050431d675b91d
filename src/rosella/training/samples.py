"""What the model says while it learns."""

from __future__ import annotations

from rosella import audio
from rosella.codec import Codec
from rosella.model.config import DiaConfig
from rosella.model.transformer import Dia
from rosella.speak import Speaker
from rosella.training.hooks import Sample
from rosella.training.recipe import SampleRecipe
from rosella.training.run import TrainingRun


def speaks(recipe: SampleRecipe, run: TrainingRun, codec: Codec) -> Sample:
    """What says the recipe's sentences into the run's `samples/`."""

    def sample(model: Dia, config: DiaConfig, step: int) -> None:
        run.samples.mkdir(exist_ok=True)
        speeches = Speaker(model, config, codec).speak(recipe.texts, max_seconds=recipe.max_seconds)
        for number, speech in enumerate(speeches):
            if len(speech.waveform):
                audio.write(run.samples / f"{step:08d}-{number}.wav", speech.waveform, speech.sample_rate)

    return sample
