"""The recipe of a recogniser's training; read with `load_recipe_of(AsrRecipe, ...)`. Intervals are optimizer steps."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rosella.config import CheckpointRecipe, OptimizerRecipe, Part, Positive, Share
from rosella.corpus.transcribe import Kind


class NewRecogniser(Part):
    """A recogniser over bytes, from random weights (see `asr.whisper`)."""

    width: Positive = 192
    encoder_layers: Positive = 3
    decoder_layers: Positive = 2
    seconds: Annotated[int, Field(gt=0, le=30)] = 10
    languages: Annotated[tuple[str, ...], Field(min_length=1)] = ("en", "nl")
    max_tokens: Positive = 256


class StartRecipe(Part):
    """What to train: existing `weights` (a directory or a hub name), or a `new` recogniser."""

    weights: str | None = None
    new: NewRecogniser | None = None

    @model_validator(mode="after")
    def _one_start(self) -> StartRecipe:
        if (self.weights is None) == (self.new is None):
            raise ValueError("set either model.weights (a Whisper to go on from) or model.new (a new one)")
        return self


class LoraRecipe(Part):
    """Low-rank adaptation (Hu 2021, arXiv 2106.09685) of these linear layers; merged into the weights at the end."""

    rank: Positive = 32
    alpha: Positive = 64
    dropout: Share = 0.05
    layers: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")


class SpecAugmentRecipe(Part):
    """Masks over log-mel features (Park 2019, arXiv 1904.08779): how many, and how wide at most.

    `time_width` is a share of the utterance, `mel_width` a number of bands.
    """

    time_masks: Annotated[int, Field(ge=0)] = 2
    time_width: Share = 0.05
    mel_masks: Annotated[int, Field(ge=0)] = 2
    mel_width: Positive = 12


class AsrEvaluateRecipe(Part):
    """Validation loss and word error rate, on at most `examples`."""

    every: Positive = 500
    examples: Positive = 200


class AsrRecipe(Part):
    """Everything a recogniser's training depends on besides its examples.

    `examples` are directories of `asr prepare`. `transcripts` are what to learn to write: with both, one set of
    weights writes either, by prompt. `language` is that of examples that name none; `language_tokens` name a
    language that stands in for one without a token of its own. `silence` is the share of examples whose audio
    is replaced by silence or noise and whose text is none. `short_windows` trains on windows cut to the speech.
    `ctc` weighs a second loss, on the encoder alone, that shows a decoder from random weights where to listen.
    `short_first` goes through the first epoch from short to long (SortaGrad, Amodei 2015, arXiv 1512.02595).
    `micro_batch` is how many examples a device holds at once (default: all of its share of `batch_size`).
    """

    model: StartRecipe
    examples: Annotated[list[str], Field(min_length=1)]
    transcripts: Annotated[tuple[Kind, ...], Field(min_length=1)] = ("verbatim",)
    language: str | None = None
    language_tokens: dict[str, str] = Field(default_factory=dict)
    lora: LoraRecipe | None = None
    freeze_encoder: bool = False
    short_windows: bool = False
    short_first: bool = False
    ctc: Share = 0.0
    spec_augment: SpecAugmentRecipe | None = SpecAugmentRecipe()
    silence: Share = 0.02
    dropout: Share = 0.0
    optimizer: OptimizerRecipe = OptimizerRecipe(lr=1e-5, schedule="wsd")
    batch_size: Positive = 16
    micro_batch: Positive | None = None
    steps: Positive
    seed: Annotated[int, Field(ge=0)] = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    gradient_checkpointing: bool = False
    workers: Annotated[int, Field(ge=0)] = 2
    checkpoint: CheckpointRecipe = CheckpointRecipe()
    evaluate: AsrEvaluateRecipe = AsrEvaluateRecipe()
    log_every: Positive = 10

    @model_validator(mode="after")
    def _fits(self) -> AsrRecipe:
        ramps = self.optimizer.warmup + (self.optimizer.decay if self.optimizer.schedule == "wsd" else 0)
        if ramps > self.steps:
            raise ValueError(
                f"optimizer.warmup (and decay) take {ramps} steps, more than the {self.steps} of the run (steps)"
            )
        if self.lora is not None and self.model.new is not None:
            raise ValueError("lora adapts existing weights: name them in model.weights, or leave lora out")
        return self
