"""The recipe of a speaking model's training. Lengths are in codec frames and UTF-8 bytes, intervals in optimizer steps."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from rosella.measures import SPEECH
from rosella.recipes import CheckpointRecipe, OptimizerRecipe, Part, Positive, RunRecipe, Share

Hidden = Annotated[float, Field(gt=0, le=1)]


def _kept(value: Any) -> Any:
    """Said in one sentence, since what is wrong may be wrong for a number and for names."""
    shares = value.values() if isinstance(value, dict) else [value]
    if not all(isinstance(share, (int, float)) and 0 <= share <= 1 for share in shares) or value == 1:
        raise ValueError(
            f"model.keep is {value}: give a share below 1, or one for each of some parameters: {{encoder: 1.0}}"
        )
    return value


class ModelRecipe(Part):
    """What to train: existing weights, or a preset from random ones."""

    weights: str | None = "mini"
    """What to start from: `mini`, a model directory, a hub name; `null` for random weights."""
    preset: Literal["mini", "dia_1_6b"] | None = None
    """With `weights: null`: the shape of the model, `mini` or `dia_1_6b`."""
    overrides: dict[str, Any] = Field(default_factory=dict)
    """Changes to single values of the preset's `config.json`, nested as there."""
    keep: Annotated[float | dict[str, float], BeforeValidator(_kept)] = 0.0
    """Share of `weights` in the model that is written at the end (not in checkpoints): it keeps more of what it knew.
    One for all parameters, or by their names: `{decoder.layers.self_attention.query: 1.0}`."""

    @model_validator(mode="after")
    def _one_start(self) -> ModelRecipe:
        if self.weights is not None and (self.preset or self.overrides):
            raise ValueError(
                f"model.weights is {self.weights}, so model.preset and model.overrides mean nothing: "
                "set model.weights=null to start from random weights"
            )
        if self.weights is None and self.keep:
            raise ValueError("model.keep is a share of model.weights, which is null: leave it out")
        if self.weights is None and self.preset is None:
            raise ValueError("model.weights is null: name a model.preset (mini or dia_1_6b) to start from")
        return self


class DataRecipe(Part):
    """Which utterances, and in which shapes."""

    export: str
    """A corpus directory with an `export.json`, local or a URL."""
    max_text_bytes: Positive = 512
    """Utterances with longer texts are left out, counted and reported, never cut."""
    max_frames: Positive = 1500
    """Longer utterances likewise."""
    batch_size: Positive | None = None
    """Utterances in a batch; either this or `batch_frames`."""
    batch_frames: Positive | None = None
    """Frames in a batch: the shorter its utterances, the more rows."""
    buckets: Annotated[int, Field(gt=0, le=16)] = 3
    """Batch shapes; each costs one compilation and saves padding."""
    pack: Positive | None = None
    """Instead of buckets, one shape: rows of so many frames, each filled with utterances one behind the other."""
    sampling_weights: bool = True
    """Draw utterances as often as the weights of the export say, where these differ; otherwise each once an epoch."""
    loss_weights: bool = False
    """Let utterances count in the loss by the weights of the export."""

    @model_validator(mode="after")
    def _one_batch_rule(self) -> DataRecipe:
        if (self.batch_size is None) == (self.batch_frames is None):
            raise ValueError(
                f"set either data.batch_size or data.batch_frames; they are {self.batch_size} and {self.batch_frames}"
            )
        if self.batch_frames is not None and self.batch_frames < self.max_frames:
            raise ValueError(
                f"data.batch_frames is {self.batch_frames}, which cannot hold one utterance "
                f"of data.max_frames {self.max_frames}"
            )
        return self

    @model_validator(mode="after")
    def _rows_hold_an_utterance(self) -> DataRecipe:
        if self.pack is not None and self.batch_frames is None:
            raise ValueError("data.pack fills rows with frames: set data.batch_frames, not data.batch_size")
        if self.pack is not None and not self.max_frames <= self.pack <= (self.batch_frames or 0):
            raise ValueError(
                f"data.pack is {self.pack}: a row holds at least data.max_frames {self.max_frames} "
                f"and at most data.batch_frames {self.batch_frames}"
            )
        return self


class EvaluateRecipe(Part):
    every: Positive = 250
    """Steps between validation losses."""
    batches: Positive = 16
    """Batches for each, at most."""


class SampleRecipe(Part):
    """Sentences spoken while training, into `samples/`."""

    every: Positive = 1000
    """Steps between samples."""
    texts: list[str] = Field(default_factory=list)
    """What is said."""
    sentences: str | None = None
    """A manifest of sentences with voices and references, as `rosella evaluate` reads it; they are said and scored."""
    recogniser: str | None = None
    """What reads them back for word errors: `mini`, a directory, a Whisper's name."""
    max_seconds: Annotated[float, Field(gt=0)] = 8.0
    """The limit of each."""


class SpeakingOptimizer(OptimizerRecipe):
    kind: Literal["adamw", "adafactor"] = "adamw"
    """`adafactor` keeps the squares of gradients by rows and columns and no mean: 4 bytes a weight instead of 12."""

    @model_validator(mode="after")
    def _betas_mean_something(self) -> SpeakingOptimizer:
        fields = type(self).model_fields
        if self.kind == "adafactor" and any(
            getattr(self, name) != fields[name].default for name in ("b1", "b2")
        ):
            raise ValueError(
                "optimizer.b1 and optimizer.b2 are AdamW's and mean nothing to adafactor: leave them out"
            )
        return self


class SavingRecipe(CheckpointRecipe):
    continuous: bool = False
    """Begin the next checkpoint when the last is written."""


class BlocksRecipe(Part):
    """Block diffusion, with `objective: blocks`."""

    size: Annotated[int, Field(ge=2)] = 8
    """Decoder steps that are told at once."""
    noise: tuple[Hidden, Hidden] = (0.35, 1.0)
    """The least and the largest share of a block's ids that is hidden."""
    ar_weight: Annotated[float, Field(ge=0)] = 0.3
    """Weight of the autoregressive loss beside that of the blocks, so that one set of weights does both."""

    @model_validator(mode="after")
    def _noise_is_an_interval(self) -> BlocksRecipe:
        low, high = self.noise
        if low > high:
            raise ValueError(f"blocks.noise is {low} to {high}: name the smaller share first")
        return self


class MeshRecipe(Part):
    """How the devices are laid out. Unset, `fsdp` takes all devices that the others leave, and these are 1."""

    data: Positive | None = None
    """Copies of the weights, each fed with rows of its own; unset, 1."""
    fsdp: Positive | None = None
    """Devices over which each copy is split along the model's width; unset, all that the other two leave."""
    tensor: Positive | None = None
    """Devices that share heads and inner width of a layer; unset, 1."""


def _policy(value: Any) -> Any:
    """Older recipes say yes or no."""
    return {True: "full", False: "none"}[value] if isinstance(value, bool) else value


class Recipe(RunRecipe):
    """Everything a run depends on besides its data."""

    may_change: ClassVar[tuple[str, ...]] = (
        *RunRecipe.may_change,
        "samples",
        "keep_best",
        "trackers",
        "mesh",
        "accumulate",
        "remat",
        "attention",
    )

    optimizer: SpeakingOptimizer = SpeakingOptimizer()  # pyright: ignore[reportIncompatibleVariableOverride]
    checkpoint: SavingRecipe = SavingRecipe()
    model: ModelRecipe = ModelRecipe()
    codec: str | None = None
    """`mini`, a codec directory, a hub name; by default the model's own."""
    data: DataRecipe
    objective: Literal["ar", "blocks"] = "ar"
    """What is learnt: to tell the next step (`ar`), or many at once besides (`blocks`), by a model that tells the next."""
    blocks: BlocksRecipe = BlocksRecipe()
    text_dropout: Share = 0.1
    """Share of utterances trained without their text, which guidance needs."""
    frame_dropout: Share = 0.0
    """Share of the decoder's input frames hidden, so that a model trained from random weights reads its text."""
    alignment_prior: Annotated[int, Field(ge=0)] = 0
    """Steps in which a diagonal prior on cross-attention fades out; only from random weights, on single sentences."""
    codebook_weights: list[Annotated[float, Field(ge=0)]] | None = None
    """Weight of each codebook in the loss, normalised; by default 4, 1, 1, …"""
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    """Of products; weights stay float32."""
    remat: Annotated[Literal["none", "dots", "full"], BeforeValidator(_policy)] = "none"
    """What the backward pass computes anew to save memory: `none`, all but the products with weights (`dots`), `full`."""
    attention: Literal["auto", "xla"] = "auto"
    """Computed by a kernel of the devices where there is one that can (`auto`), or by XLA always."""
    mesh: MeshRecipe = MeshRecipe()
    accumulate: Positive = 1
    """Parts in which a batch is computed one after another, to save memory; the step stays the same."""
    evaluate: EvaluateRecipe = EvaluateRecipe()
    samples: SampleRecipe = SampleRecipe()
    keep_best: str | None = None
    """The measure whose best checkpoint stays beside the newest, as `best`: `validation/loss`, `listening/wer`, …"""
    trackers: list[Literal["tensorboard", "wandb"]] = Field(default_factory=list)
    """Who else hears the metrics and the samples: `tensorboard`, `wandb`."""

    @model_validator(mode="after")
    def _some_codebook_counts(self) -> Recipe:
        if self.codebook_weights is not None and not any(self.codebook_weights):
            raise ValueError("codebook_weights are all 0: at least one codebook must count")
        return self

    @model_validator(mode="after")
    def _blocks_are_asked_for(self) -> Recipe:
        if self.objective == "ar" and self.blocks != BlocksRecipe():
            raise ValueError("blocks mean nothing with objective ar: set objective=blocks, or leave them out")
        if self.objective == "blocks" and self.alignment_prior:
            raise ValueError(
                "alignment_prior is for random weights, and blocks begin with a model that speaks: leave one of them out"
            )
        return self

    @property
    def sequences(self) -> int:
        """Decoder sequences that a step computes over one text: with blocks, the hidden beside the known."""
        return 2 if self.objective == "blocks" else 1

    @model_validator(mode="after")
    def _best_is_measured(self) -> Recipe:
        known = [
            "validation/loss",
            "validation/accuracy",
            *(f"listening/{measure.key}" for measure in SPEECH),
        ]
        if self.keep_best is not None and self.keep_best not in known:
            raise ValueError(f"keep_best is {self.keep_best}, but may be {', '.join(known)}")
        return self
