"""The recipe of a training run: load, override from the command line, validate, save beside the outputs.

Lengths are in codec frames and UTF-8 bytes, intervals in optimizer steps.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rosella.errors import UserError
from rosella.files import replacing

Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[int, Field(gt=0)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


AnyRecipe = TypeVar("AnyRecipe", bound=Part)


class ModelRecipe(Part):
    """What to train: existing `weights` (`mini`, a directory or a hub name), or a `preset` from random weights.

    `overrides` change single values of the preset's configuration, nested as in its `config.json`.
    """

    weights: str | None = "mini"
    preset: Literal["mini", "dia_1_6b"] | None = None
    overrides: dict[str, Any] = {}

    @model_validator(mode="after")
    def _one_start(self) -> ModelRecipe:
        if self.weights is not None and (self.preset or self.overrides):
            raise ValueError(
                f"model.weights is {self.weights}, so model.preset and model.overrides mean nothing: "
                "set model.weights=null to start from random weights"
            )
        if self.weights is None and self.preset is None:
            raise ValueError("model.weights is null: name a model.preset (mini or dia_1_6b) to start from")
        return self


class DataRecipe(Part):
    """Which utterances, and in which shapes. Every bucket is one shape to compile."""

    export: str
    max_text_bytes: Positive = 512
    max_frames: Positive = 1500
    batch_size: Positive | None = None
    batch_frames: Positive | None = None
    buckets: Annotated[int, Field(gt=0, le=16)] = 3
    sampling_weights: bool = False
    loss_weights: bool = False

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


class OptimizerRecipe(Part):
    """AdamW. `decay` (steps) belongs to the `wsd` schedule: warm up, stay, then fall over the last `decay` steps."""

    lr: Annotated[float, Field(gt=0)] = 1e-4
    schedule: Literal["cosine", "constant", "wsd"] = "cosine"
    warmup: Annotated[int, Field(ge=0)] = 0
    decay: Annotated[int, Field(ge=0)] = 0
    final_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip: Annotated[float, Field(gt=0)] = 1.0
    b1: Share = 0.9
    b2: Share = 0.98


class CheckpointRecipe(Part):
    every: Positive = 500
    keep: Positive = 2


class EvaluateRecipe(Part):
    """Validation loss every `every` steps, on at most `batches` batches."""

    every: Positive = 250
    batches: Positive = 16


class SampleRecipe(Part):
    """Sentences spoken while training, into `samples/`."""

    every: Positive = 1000
    texts: list[str] = []
    max_seconds: Annotated[float, Field(gt=0)] = 8.0


class Recipe(Part):
    """Everything a run depends on besides its data.

    `codec` defaults to the model's own, `codebook_weights` to [4, 1, 1, ...]; `remat` recomputes activations to save memory.
    """

    model: ModelRecipe = ModelRecipe()
    codec: str | None = None
    data: DataRecipe
    optimizer: OptimizerRecipe = OptimizerRecipe()
    steps: Positive
    seed: Annotated[int, Field(ge=0)] = 0
    text_dropout: Share = 0.1
    frame_dropout: Share = 0.0
    alignment_prior: Annotated[int, Field(ge=0)] = 0
    codebook_weights: list[Annotated[float, Field(ge=0)]] | None = None
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    remat: bool = False
    checkpoint: CheckpointRecipe = CheckpointRecipe()
    evaluate: EvaluateRecipe = EvaluateRecipe()
    samples: SampleRecipe = SampleRecipe()
    log_every: Positive = 1

    @model_validator(mode="after")
    def _schedule_fits(self) -> Recipe:
        ramps = self.optimizer.warmup + (self.optimizer.decay if self.optimizer.schedule == "wsd" else 0)
        if ramps > self.steps:
            raise ValueError(
                f"optimizer.warmup (and decay) take {ramps} steps, more than the {self.steps} of the run (steps)"
            )
        if self.codebook_weights is not None and not any(self.codebook_weights):
            raise ValueError("codebook_weights are all 0: at least one codebook must count")
        return self


MAY_CHANGE_ON_RESUME = ("steps", "checkpoint", "evaluate", "samples", "log_every", "workers")


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a YAML recipe and apply `key=value` overrides, whose dotted keys name nested values.

    Raises UserError with one sentence that names the key, what it is and what it may be.
    """
    return load_recipe_of(Recipe, path, overrides)


def load_recipe_of(kind: type[AnyRecipe], path: str | Path, overrides: Sequence[str] = ()) -> AnyRecipe:
    """`load_recipe` for another kind of run."""
    values = _read(Path(path))
    for override in overrides:
        _apply(values, override)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{path}: {_sentence(error, kind)}.") from None


def save_recipe(recipe: Part, path: str | Path) -> None:
    with replacing(Path(path)) as temporary:
        temporary.write_text(
            yaml.safe_dump(recipe.model_dump(), sort_keys=False, allow_unicode=True), "utf-8"
        )


def check_same_run(recipe: Part, saved: Part, where: str | Path) -> None:
    """Refuse to continue a run with another model, other data or another optimizer than it began with."""
    new, old = _flat(recipe.model_dump()), _flat(saved.model_dump())
    for key in sorted(new.keys() | old.keys()):
        if key.split(".")[0] not in MAY_CHANGE_ON_RESUME and new.get(key) != old.get(key):
            raise UserError(
                f"The run in {where} was started with {key}={old.get(key)}, not {new.get(key)}: "
                "give it back that value, or choose another directory with --run."
            )


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"Cannot read the recipe {path}: {getattr(error, 'strerror', None) or error}."
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark else ""
        raise UserError(f"The recipe {path} is not valid YAML{line}: correct it and try again.") from None
    if not isinstance(values, dict):
        raise UserError(f"The recipe {path} holds no keys: it must be a YAML mapping such as `steps: 1000`.")
    return values


def _apply(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UserError(
            f"Cannot read the override {override!r}: write key=value, for example optimizer.lr=1e-4."
        )
    *parents, last = key.split(".")
    for parent in parents:
        child = values.setdefault(parent, {})
        if not isinstance(child, dict):
            raise UserError(f"Cannot set {key}: {parent} is {child!r}, which has no parts.")
        values = child
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UserError(f"Cannot read the value {text!r} of {key}: write it as YAML.") from None


def _sentence(error: ValidationError, kind: type[Part]) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"the key {key} is unknown{_suggestion(first['loc'], kind)}"
    if first["type"] == "missing":
        return f"the key {key} is missing: add it, or give {key}=… on the command line"
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return message if first["type"] == "value_error" else f"{key} {message}, but is {first['input']!r}"


def _suggestion(location: tuple[int | str, ...], kind: type[Part]) -> str:
    """`: did you mean lr?`, from the fields of the part that holds the unknown key."""
    part: Any = kind
    for name in location[:-1]:
        part = part.model_fields[str(name)].annotation
    if not (isinstance(part, type) and issubclass(part, Part)):
        return ""
    close = difflib.get_close_matches(str(location[-1]), part.model_fields, 1)
    return f", did you mean {close[0]}" if close else f"; it may be {', '.join(part.model_fields)}"


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return flat
