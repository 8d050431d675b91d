"""The recipe of a run: load, override from the command line, validate, save beside the outputs."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rosella.errors import UserError
from rosella.files import write_text

Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[int, Field(gt=0)]


class Part(BaseModel):
    """Of a recipe; the meaning of a key stands below it."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class OptimizerRecipe(Part):
    """AdamW."""

    lr: Annotated[float, Field(gt=0)] = 1e-4
    """The highest learning rate."""
    schedule: Literal["cosine", "constant", "wsd"] = "cosine"
    """`cosine`, `constant`, or `wsd` (warm up, stay, fall linearly over the last `decay` steps)."""
    warmup: Annotated[int, Field(ge=0)] = 0
    """Steps in which the rate rises."""
    decay: Annotated[int, Field(ge=0)] = 0
    """Steps in which it falls (`wsd`)."""
    final_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The share of `lr` that is left at the end."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """AdamW's."""
    clip: Annotated[float, Field(gt=0)] = 1.0
    """The limit of the gradient's norm."""
    b1: Share = 0.9
    """AdamW's memory of gradients."""
    b2: Share = 0.98
    """AdamW's memory of their squares."""

    def learning_rate(self, step: Any, steps: int, xp: Any = np) -> Any:
        """Of the 0-based `step`, a number or an array of `xp` (NumPy or JAX), in a run of `steps`."""
        fall = {"cosine": steps - self.warmup, "constant": 0, "wsd": self.decay}[self.schedule]
        rise = xp.minimum(1.0, (step + 1) / max(self.warmup, 1))
        fallen = xp.clip((step - (steps - fall)) / max(fall, 1), 0.0, 1.0)
        shape = 0.5 * (1 + xp.cos(xp.pi * fallen)) if self.schedule == "cosine" else 1.0 - fallen
        return self.lr * rise * (self.final_share + (1 - self.final_share) * shape)

    @property
    def ramps(self) -> int:
        """Steps in which the rate rises or falls, which a run must at least have."""
        return self.warmup + (self.decay if self.schedule == "wsd" else 0)


class CheckpointRecipe(Part):
    every: Positive = 500
    """Steps between checkpoints."""
    keep: Positive = 2
    """How many of them stay."""


class RunRecipe(Part):
    """What the recipes of all trainings share."""

    may_change: ClassVar[tuple[str, ...]] = ("steps", "checkpoint", "evaluate", "log_every")
    """Keys that may have another value when a run is continued."""

    optimizer: OptimizerRecipe = OptimizerRecipe()
    steps: Positive
    """Length of the run, in steps of the optimizer."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Everything random follows from it."""
    log_every: Positive = 1
    """Steps between lines of `metrics.jsonl`."""

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        if self.optimizer.ramps > self.steps:
            raise ValueError(
                f"optimizer.warmup (and decay) take {self.optimizer.ramps} steps, "
                f"more than the {self.steps} of the run (steps)"
            )
        return self


AnyPart = TypeVar("AnyPart", bound=Part)


def load_recipe(kind: type[AnyPart], path: str | Path, overrides: Sequence[str] = ()) -> AnyPart:
    """Read a YAML file of a kind and apply `key=value` overrides, whose dotted keys name nested values.

    Raises UserError with one sentence that names the key, what it is and what it may be.
    """
    values = _read(Path(path))
    for override in overrides:
        _apply(values, override)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{path}: {_sentence(error, kind)}.") from None


def save_recipe(recipe: Part, path: str | Path) -> None:
    write_text(Path(path), yaml.safe_dump(recipe.model_dump(), sort_keys=False, allow_unicode=True))


def check_same_run(recipe: RunRecipe, saved: RunRecipe, where: str | Path) -> None:
    """Refuse to continue a run with another model, other data or another optimizer than it began with."""
    new, old = _flat(recipe.model_dump()), _flat(saved.model_dump())
    for key in sorted(new.keys() | old.keys()):
        if key.split(".")[0] not in recipe.may_change and new.get(key) != old.get(key):
            raise UserError(
                f"The run in {where} was started with {key}={old.get(key)}, not {new.get(key)}: "
                "give it back that value, or choose another directory with --run."
            )


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read {path}: {getattr(error, 'strerror', None) or error}.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark else ""
        raise UserError(f"{path} is not valid YAML{line}: correct it and try again.") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} holds no keys: it must be a YAML mapping such as `steps: 1000`.")
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
