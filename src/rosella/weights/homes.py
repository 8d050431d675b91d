"""What is at a path: whose home of a model, its configuration, and its tensors one by one."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rosella.errors import UserError
from rosella.files import find_damage
from rosella.model.config import DiaConfig, preset
from rosella.weights import configs, orbax
from rosella.weights.configs import CONFIG
from rosella.weights.names import (
    Kind,
    ParameterPath,
    Place,
    parameter_shapes,
    places,
    tensor_shapes,
    to_ours,
)
from rosella.weights.paths import config_beside, find_model, weight_files
from rosella.weights.tensors import DTYPES, Tensors, open_files, widest


@dataclass(frozen=True)
class Home:
    """An opened model; its names, shapes and types are those its configuration asks for.

    `kind` says whose home it is, `named` whose names its tensors have.
    """

    path: Path
    kind: Kind
    named: Kind
    config: DiaConfig
    tensors: Tensors

    def piece(self, path: ParameterPath, number: int | None) -> np.ndarray:
        """Our parameter, or number `number` of its stack, in the stored type; not to be written to."""
        read = [self._read(name) for name in self._names(path, number)]
        if (path, number) in self._at:
            return read[0]
        return read[0][number] if (path, None) in self._at else np.stack(read)

    def dtype(self, path: ParameterPath, number: int | None) -> np.dtype:
        """The stored type of that piece; of several, the widest."""
        return widest(self.tensors.stored[name] for name in self._names(path, number))

    def _names(self, path: ParameterPath, number: int | None) -> list[str]:
        """Of that piece, of the whole stack it is in, or of all pieces of a stack."""
        name = self._at.get((path, number)) or self._at.get((path, None))
        return [name] if name else [each for (known, _), each in self._at.items() if known == path]

    @cached_property
    def _places(self) -> dict[str, Place]:
        return places(self.named, self.config)

    @cached_property
    def _at(self) -> dict[tuple[ParameterPath, int | None], str]:
        return {(place.path, place.number): name for name, place in self._places.items()}

    def _read(self, name: str) -> np.ndarray:
        place = self._places[name]
        shape = parameter_shapes(self.config)[place.path]
        ours = shape if place.number is None else shape[1:]
        return to_ours(self.named, place, self.tensors.read(name), ours)


def open_home(name_or_path: str | os.PathLike[str]) -> Home:
    """A model of any kind; its tensors are listed, and read when they are asked for.

    Raises UserError for what is no model, is damaged, or has tensors that do not fit its configuration.
    """
    path = find_model(name_or_path)
    if orbax.is_orbax(path / "state"):
        home = _open_checkpoint(path)
    elif orbax.is_orbax(path):
        home = _open_parkiet(path)
    else:
        home = _open_files(path)
    _check(home)
    # Layers that are stored as one stack are asked for one by one.
    once = lru_cache(maxsize=1)(home.tensors.read)
    return replace(home, tensors=home.tensors._replace(read=once))


def _open_checkpoint(path: Path) -> Home:
    """One of a training run; it holds more than the parameters."""
    damage = find_damage(path)
    if damage:
        raise UserError(f"The checkpoint {path} is damaged ({damage}); choose another of its run.")
    # Older ones have no configuration of their own.
    written = (path / CONFIG, path.parent.parent / "model" / CONFIG)
    config = next((configs.read_config(each) for each in written if each.is_file()), None)
    opened = orbax.open_tree(path / "state", below="params")
    return Home(path, Kind.ROSELLA, Kind.ROSELLA, config or _config_of_recipe(path / "recipe.yaml"), opened)


def _config_of_recipe(recipe: Path) -> DiaConfig:
    """Of the model that a recipe trains, as training wrote it down."""
    values: dict[str, Any] = yaml.safe_load(recipe.read_text("utf-8"))
    start = values["model"]
    if start["weights"]:
        path = find_model(start["weights"])
        beside = config_beside(path)
        config = configs.read_config(beside) if beside else open_home(path).config
    else:
        config = preset(start["preset"], start["overrides"])
    return replace(config, codec=values.get("codec") or config.codec)


def _open_parkiet(path: Path) -> Home:
    opened = orbax.open_tree(path)
    stored = dict(opened.stored)
    beside = config_beside(path)
    config = configs.read_config(beside) if beside else configs.config_from_shapes(Kind.PARKIET, stored, path)
    if beside is None or not configs.is_ours(beside):
        config = configs.attend_to_padding(config)
    for name, timescale in configs.timescales(config).items():
        if stored.pop(name, None) and not np.allclose(opened.read(name), timescale, rtol=1e-4):
            raise UserError(
                f"The rotary timescale {name} in {path} is not that of a base of "
                f"{config.decoder.rope_theta:g}: put the model's own config.json into that directory."
            )
    return Home(path, Kind.PARKIET, Kind.PARKIET, config, Tensors(stored, opened.read))


def _open_files(path: Path) -> Home:
    opened = open_files(weight_files(path))
    beside = config_beside(path)
    if any(name.startswith("model.") for name in opened.stored):
        if beside is None:
            raise UserError(
                f"There is no config.json beside the weights {path}; give the directory of a whole model."
            )
        plain = configs.is_ours(beside) and not beside.with_name("processor_config.json").exists()
        kind = Kind.ROSELLA if plain else Kind.TRANSFORMERS
        config = configs.read_config(beside)
    else:
        kind = Kind.NARI
        config = (
            configs.read_config(beside) if beside else configs.config_from_shapes(kind, opened.stored, path)
        )
    return Home(path, kind, kind.named, config, opened)


def _check(home: Home) -> None:
    wanted, stored = tensor_shapes(home.named, home.config), home.tensors.stored
    faults = [f"missing {name}" for name in sorted(wanted.keys() - stored.keys())]
    faults += [f"unexpected {name}" for name in sorted(stored.keys() - wanted.keys())]
    for name in sorted(wanted.keys() & stored.keys()):
        if stored[name].shape != wanted[name]:
            faults.append(f"{name} is {stored[name].shape}, not {wanted[name]}")
        elif stored[name].dtype is None:
            faults.append(f"{name} is none of {', '.join(DTYPES)}")
    if faults:
        raise UserError(
            f"The weights in {home.path} do not fit its configuration ({'; '.join(faults)}); use files of one model."
        )
