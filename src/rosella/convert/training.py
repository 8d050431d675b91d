"""The parameters in one checkpoint of a training run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rosella.convert import settings, trees
from rosella.convert.tensors import Tensors
from rosella.errors import UserError
from rosella.model.config import DiaConfig, preset
from rosella.recipes import load_recipe
from rosella.training.recipe import Recipe


def is_checkpoint(path: Path) -> bool:
    return (path / "recipe.yaml").is_file() and trees.is_orbax(path / "state")


def open_checkpoint(path: Path, config_of: Callable[[str], DiaConfig]) -> tuple[DiaConfig, Tensors]:
    """Configuration and parameters; `config_of` reads that of the weights a run started from.

    Raises UserError when a file is not what was written.
    """
    from rosella.training.state import verify

    damage = verify(path)
    if damage:
        raise UserError(f"The checkpoint {path} is damaged ({damage}); choose another of its run.")
    return _config(path, config_of), trees.open_tree(path / "state", below="params")


def _config(path: Path, config_of: Callable[[str], DiaConfig]) -> DiaConfig:
    finished = path.parent.parent / "model" / "config.json"
    if finished.is_file():
        return settings.read_config(finished)
    recipe = load_recipe(Recipe, path / "recipe.yaml")
    start = recipe.model
    config = config_of(start.weights) if start.weights else preset(start.preset or "mini", start.overrides)
    return replace(config, codec=recipe.codec or config.codec)
