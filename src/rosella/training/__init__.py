"""Training of the speaking model: a recipe, a run directory, one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rosella.lazily import lazily

if TYPE_CHECKING:
    from rosella.training.loop import Outcome, train
    from rosella.training.recipe import Recipe
    from rosella.training.run import TrainingRun

__all__ = ["Outcome", "Recipe", "TrainingRun", "train"]
__getattr__ = lazily(__name__, {"Outcome": "loop", "Recipe": "recipe", "TrainingRun": "run", "train": "loop"})
