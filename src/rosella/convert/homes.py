"""The homes of a model: which kind a path is, its configuration, and its tensors one by one.

transformers   a directory of `DiaForConditionalGeneration`, with or without its processor
nari           Nari Labs' Dia: a `.pth`, a `.safetensors`, or a directory with one of them
reference      an Orbax directory of the JAX reference
rosella        a model directory as `rosella train` writes it, or one of its checkpoints
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rosella.convert import mapping, settings, tensors, training, trees
from rosella.convert.tensors import INDEX, WEIGHTS, Stored, Tensors
from rosella.errors import UserError
from rosella.model.config import DiaConfig

KINDS = ("transformers", "nari", "reference", "rosella")
_SUFFIXES = (".safetensors", *tensors.PICKLES)


@dataclass(frozen=True)
class Home:
    """An opened model; its names, shapes and types are those its configuration asks for."""

    kind: str
    layout: str
    config: DiaConfig
    tensors: Tensors

    def piece(self, path: mapping.Path, index: int | None) -> np.ndarray:
        """Our parameter, or number `index` of its stack, in the stored type; not to be written to."""
        found = self._at.get((path, index))
        if found is not None:
            return self._read(found)
        whole = self._at.get((path, None))
        if whole is not None:
            return self._read(whole)[index]
        return np.stack([self._read(self._at[path, i]) for i in range(self._shapes[path][0])])

    def dtype(self, path: mapping.Path, index: int | None) -> np.dtype:
        """The stored type of that piece; of several, the widest."""
        names = [self._at.get((path, index)) or self._at.get((path, None))]
        if names == [None]:
            names = [self._at[path, i] for i in range(self._shapes[path][0])]
        return widest([self.tensors.stored[name] for name in names if name])

    @cached_property
    def _places(self) -> dict[str, mapping.Place]:
        return mapping.places(self.layout, self.config)

    @cached_property
    def _at(self) -> dict[tuple[mapping.Path, int | None], str]:
        return {(place.path, place.index): name for name, place in self._places.items()}

    @cached_property
    def _shapes(self) -> dict[mapping.Path, tuple[int, ...]]:
        return shapes(self.config)

    def _read(self, name: str) -> np.ndarray:
        place = self._places[name]
        shape = self._shapes[place.path]
        ours = shape if place.index is None else shape[1:]
        return mapping.to_ours(self.layout, place, self.tensors.read(name), ours)


def open_home(path: Path) -> Home:
    """A model of any kind; UserError for what is none, or whose tensors do not fit its configuration."""
    if training.is_checkpoint(path):
        config, opened = training.open_checkpoint(path, lambda name: read_config(find_directory(name)))
        home = Home("rosella", "rosella", config, opened)
    elif trees.is_orbax(path):
        home = _open_reference(path)
    else:
        home = _open_files(path)
    _check(path, wanted(home.layout, home.config), home.tensors.stored)
    # Layers that are stored as one stack are asked for one by one.
    once = lru_cache(maxsize=1)(home.tensors.read)
    return replace(home, tensors=home.tensors._replace(read=once))


def find_directory(name_or_path: str | os.PathLike[str]) -> Path:
    """Where a model lies: the embedded one, the path itself, or the hub's snapshot of that name."""
    if str(name_or_path) == "mini":
        from rosella import mini

        return mini.path("model")
    directory = Path(name_or_path)
    if directory.exists():
        return directory
    name = os.fspath(name_or_path)
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise UserError(
            f"There is no model {name}; give a directory, a file or a name such as nari-labs/Dia-1.6B-0626."
        )
    from huggingface_hub import snapshot_download

    try:
        found = Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors"]))
        if not list(found.glob("*.safetensors")):
            found = Path(
                snapshot_download(
                    name, allow_patterns=["*.json", *(f"*{suffix}" for suffix in tensors.PICKLES)]
                )
            )
        return found
    except Exception as error:  # the hub client raises many kinds; all mean that the model is not at hand
        raise UserError(
            f"The model {name} could not be fetched from the hub ({type(error).__name__}); "
            "check the name and the network, or download it elsewhere and give its directory."
        ) from error


def read_config(path: Path) -> DiaConfig:
    """The configuration of a home whose weights are not looked at where it has a `config.json`."""
    beside = _beside(path)
    return open_home(path).config if beside is None else settings.read_config(beside)


@lru_cache(maxsize=8)
def shapes(config: DiaConfig) -> dict[mapping.Path, tuple[int, ...]]:
    """The shape of each of our parameters."""
    from flax import nnx

    from rosella.model.transformer import Dia

    model = nnx.eval_shape(lambda: Dia(config, nnx.Rngs(0)))
    flat: Any = nnx.to_flat_state(nnx.state(model, nnx.Param))
    return {path: leaf.shape for path, leaf in flat}


def wanted(layout: str, config: DiaConfig) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a model of this configuration in a layout."""
    ours = shapes(config)
    return {
        name: mapping.stored_shape(
            layout, place, ours[place.path] if place.index is None else ours[place.path][1:]
        )
        for name, place in mapping.places(layout, config).items()
    }


def widest(stored: Sequence[Stored]) -> np.dtype:
    """The type that holds every value of these tensors."""
    return np.result_type(*{each.dtype for each in stored if each.dtype is not None})


def _open_reference(path: Path) -> Home:
    opened = trees.open_tree(path)
    stored = dict(opened.stored)
    beside = _beside(path)
    config = (
        settings.read_config(beside) if beside else settings.config_from_shapes("reference", stored, path)
    )
    if beside is None or not settings.is_ours(beside):
        config = settings.attending(config)
    for name, timescale in settings.timescales(config).items():
        if stored.pop(name, None) and not np.allclose(opened.read(name), timescale, rtol=1e-4):
            raise UserError(
                f"The rotary timescale {name} in {path} is not that of a base of "
                f"{config.decoder.rope_theta:g}: put the model's own config.json into that directory."
            )
    return Home("reference", "reference", config, Tensors(stored, opened.read))


def _open_files(path: Path) -> Home:
    opened = tensors.open_files(_files(path))
    beside = _beside(path)
    if any(name.startswith("model.") for name in opened.stored):
        if beside is None:
            raise UserError(
                f"There is no config.json beside the weights {path}; give the directory of a whole model."
            )
        plain = settings.is_ours(beside) and not beside.with_name("processor_config.json").exists()
        kind = "rosella" if plain else "transformers"
        return Home(kind, "transformers", settings.read_config(beside), opened)
    config = (
        settings.read_config(beside) if beside else settings.config_from_shapes("nari", opened.stored, path)
    )
    return Home("nari", "nari", config, opened)


def _beside(path: Path) -> Path | None:
    """The `config.json` in a directory, or beside a file."""
    found = (path if path.is_dir() else path.parent) / "config.json"
    return found if found.is_file() else None


def _files(path: Path) -> list[Path]:
    """The weight files of a home: the file itself, the shards of an index, or the only one of a directory."""
    if path.is_file():
        if path.suffix not in _SUFFIXES:
            raise UserError(
                f"The file {path} is none of {', '.join(_SUFFIXES)}; give the weights of a model."
            )
        return [path]
    if (path / INDEX).is_file():
        names = settings.read_json(path / INDEX).get("weight_map", {}).values()
        files = [path / name for name in sorted(set(names))]
    elif (path / WEIGHTS).is_file():
        files = [path / WEIGHTS]
    else:
        files = [file for suffix in _SUFFIXES for file in sorted(path.glob(f"*{suffix}"))]
    absent = [file.name for file in files if not file.is_file()]
    if absent or not files:
        raise UserError(
            f"The model directory {path} lacks {', '.join(absent) or WEIGHTS}; copy the whole model again."
        )
    if len(files) > 1 and not (path / INDEX).is_file():
        raise UserError(
            f"The directory {path} holds {', '.join(file.name for file in files)}; give the file that you mean."
        )
    return files


def _check(path: Path, wanted: dict[str, tuple[int, ...]], stored: dict[str, Stored]) -> None:
    faults = [f"missing {name}" for name in sorted(wanted.keys() - stored.keys())]
    faults += [f"unexpected {name}" for name in sorted(stored.keys() - wanted.keys())]
    for name in sorted(wanted.keys() & stored.keys()):
        if stored[name].shape != wanted[name]:
            faults.append(f"{name} is {stored[name].shape}, not {wanted[name]}")
        elif stored[name].dtype is None:
            faults.append(f"{name} is none of {', '.join(tensors.DTYPES)}")
    if faults:
        raise UserError(
            f"The weights in {path} do not fit its configuration ({'; '.join(faults)}); use files of one model."
        )
