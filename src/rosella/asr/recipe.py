"""The recipe of a recogniser's training; read with `load_recipe(AsrRecipe, ...)`. Intervals are optimizer steps."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from rosella.corpus.recogniser import Kind
from rosella.recipes import CheckpointRecipe, OptimizerRecipe, Part, Positive, RunRecipe, Share


class NewRecogniser(Part):
    """A recogniser over bytes, from random weights (see `asr.whisper`)."""

    width: Positive = 192
    """Channels of the encoder and the decoder."""
    encoder_layers: Positive = 3
    """Layers that listen."""
    decoder_layers: Positive = 2
    """Layers that write."""
    seconds: Annotated[int, Field(gt=0, le=30)] = 10
    """Seconds of audio it hears at once."""
    languages: Annotated[tuple[str, ...], Field(min_length=1)] = ("en", "nl")
    """Languages it has a token for."""
    max_tokens: Positive = 256
    """Tokens of a transcript at most, prompt included."""


class StartRecipe(Part):
    """What to train: existing weights, or a new recogniser."""

    weights: str | None = None
    """A directory or a name on the hub: Whisper of any size, or a recogniser trained here."""
    new: NewRecogniser | None = None
    """Instead: a new one over bytes."""

    @model_validator(mode="after")
    def _one_start(self) -> StartRecipe:
        if (self.weights is None) == (self.new is None):
            raise ValueError("set either model.weights (a Whisper to go on from) or model.new (a new one)")
        return self


class LoraRecipe(Part):
    """Low-rank adaptation (Hu 2021, arXiv 2106.09685)."""

    rank: Positive = 32
    """Directions that are trained."""
    alpha: Positive = 64
    """Their scale is `alpha` / `rank`."""
    dropout: Share = 0.05
    """Share of what goes into them that is dropped."""
    layers: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
    """The linear layers that have them."""


class SpecAugmentRecipe(Part):
    """Masks over log-mel features (Park 2019, arXiv 1904.08779)."""

    time_masks: Annotated[int, Field(ge=0)] = 2
    """Masks over time."""
    time_width: Share = 0.05
    """The widest of them, as a share of the utterance."""
    mel_masks: Annotated[int, Field(ge=0)] = 2
    """Masks over mel bands."""
    mel_width: Positive = 12
    """The widest of them, in bands."""


class AsrEvaluateRecipe(Part):
    every: Positive = 500
    """Steps between validation losses and word error rates."""
    examples: Positive = 200
    """Examples for each, at most."""


class AsrRecipe(RunRecipe):
    """Everything a recogniser's training depends on besides its examples."""

    may_change: ClassVar[tuple[str, ...]] = (*RunRecipe.may_change, "workers")

    checkpoint: CheckpointRecipe = CheckpointRecipe()
    model: StartRecipe
    examples: Annotated[list[str], Field(min_length=1)]
    """Directories of `rosella asr prepare`."""
    transcripts: Annotated[tuple[Kind, ...], Field(min_length=1)] = ("verbatim",)
    """`[verbatim]`, `[clean]` or both; with both one set of weights writes either, by prompt."""
    language: str | None = None
    """The language of examples that name none."""
    language_tokens: dict[str, str] = Field(default_factory=dict)
    """A language of Whisper's that stands in for one it lacks: `{fy: nl}`."""
    lora: LoraRecipe | None = None
    """Train a few directions of some layers only; merged at the end, so that what is saved is an ordinary Whisper."""
    freeze_encoder: bool = False
    """Leave the encoder as it is: a clean recogniser with the same one then shares its pass when transcribing."""
    short_windows: bool = False
    """Train, and later transcribe, on windows cut to the speech; on CPUs that is most of the speed."""
    short_first: bool = False
    """Go through the first epoch from short to long (SortaGrad, arXiv 1512.02595); a new recogniser needs it."""
    ctc: Share = 0.0
    """Weight of a second loss on the encoder alone, which has to spell the words without the decoder (hybrid
    CTC/attention, Watanabe 2017): a new recogniser finds where to listen by it, an existing one needs none."""
    spec_augment: SpecAugmentRecipe | None = SpecAugmentRecipe()
    """Masks over what is heard."""
    silence: Share = 0.02
    """Share of examples that become silence or noise with no text: the cure for text where nobody speaks."""
    dropout: Share = 0.0
    """Share that is dropped wherever Whisper can drop."""
    optimizer: OptimizerRecipe = OptimizerRecipe(lr=1e-5, schedule="wsd")
    batch_size: Positive = 16
    """Examples in a step, those of all devices together."""
    micro_batch: Positive | None = None
    """Examples a device holds at once; by default all of its share of `batch_size`."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto` computes in bfloat16 where the device does; weights and AdamW's state are always float32."""
    gradient_checkpointing: bool = False
    """Compute activations again instead of keeping them: memory against time."""
    workers: Annotated[int, Field(ge=0)] = 2
    """Threads that make batches ahead."""
    evaluate: AsrEvaluateRecipe = AsrEvaluateRecipe()
    log_every: Positive = 10
    """Steps between lines of `metrics.jsonl`."""

    @model_validator(mode="after")
    def _adapts_what_exists(self) -> AsrRecipe:
        if self.lora is not None and self.model.new is not None:
            raise ValueError("lora adapts existing weights: name them in model.weights, or leave lora out")
        return self
