"""From any home of a model to any other, one tensor at a time."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rosella import __version__
from rosella.convert import huggingface
from rosella.errors import UserError
from rosella.files import replacing_directory, write_text
from rosella.model.config import DiaConfig
from rosella.progress import Progress, unheard
from rosella.weights import configs, orbax
from rosella.weights.card import CARD, find_card, passed_on
from rosella.weights.homes import Home, open_home
from rosella.weights.models import write_directory
from rosella.weights.names import Kind, places, tensor_shapes, to_stored
from rosella.weights.tensors import DTYPES, WEIGHTS, Stored, Tensors, widest, write_safetensors

PARTS = 100
"""Of a conversion, by which its progress is told."""


class Converted(NamedTuple):
    """The kind of the source, the configuration written, and how many parameters there are."""

    kind: Kind
    config: DiaConfig
    parameters: int


def convert(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    to: str,
    dtype: str | None = None,
    trained_text_length: int | None = None,
    codec: str | None = None,
    with_codec: bool = True,
    progress: Progress = unheard,
) -> Converted:
    """Writes the model at `source` to the new directory `destination`, a home of kind `to`.

    Tensors keep their stored types unless `dtype` names another. `trained_text_length` says that the decoder was
    trained on so many text positions, padding included, as Parkiet's does; its own checkpoints need no
    telling. `codec` replaces the one that the model names; not `with_codec` leaves it out of a Transformers
    folder. `progress` hears of its `PARTS`.
    The directory appears whole or not at all. Raises UserError for what cannot be read, is no whole model, holds
    NaN or infinities, or does not fit `dtype`.
    """
    kind, home = Kind(to), open_home(source)
    config = home.config
    if trained_text_length is not None:
        config = configs.attend_to_padding(config, trained_text_length)
    new = Path(destination)
    if new.exists() and (not new.is_dir() or any(new.iterdir())):
        raise UserError(f"{new} exists already; name a new directory, or remove it first.")
    with replacing_directory(new) as directory:
        _write(directory, home, config, kind, dtype, progress)
        if kind is Kind.TRANSFORMERS:
            huggingface.complete(directory, config, codec, with_codec)
        write_text(directory / CARD, _card(home, config, kind, new.name, with_codec))
    count = sum(math.prod(stored.shape) for stored in home.tensors.stored.values())
    return Converted(home.kind, config, count)


def _card(home: Home, config: DiaConfig, kind: Kind, name: str, with_codec: bool) -> str:
    """Of the source, passed on."""
    whole = kind is Kind.TRANSFORMERS
    notes = [f"## Converted\nFrom {home.kind} to {kind} by Rosella {__version__}."]
    if whole and not with_codec:
        notes.append(huggingface.WITHOUT_CODEC.format(codec=config.codec))
    return passed_on(find_card(home.path), name, "transformers" if whole else "rosella", *notes)


def find_warning(config: DiaConfig, to: str) -> str | None:
    """What a home cannot say of a model: how other programs will treat text padding there."""
    attends = config.cross_attention_padding == "attend"
    if to == Kind.NARI and attends:
        return "Nari's Dia masks text padding, which this model was trained to see, so it degrades there."
    if to == Kind.PARKIET and not attends:
        return "The JAX reference shows text padding to the decoder, and this model never saw any, so it degrades there."
    return None


def _write(
    directory: Path,
    home: Home,
    config: DiaConfig,
    kind: Kind,
    dtype: str | None,
    progress: Progress,
) -> None:
    tensors, broken = _rewrite(home, kind.named, dtype, progress)
    kept = widest(list(tensors.stored.values())).name
    if kind is Kind.PARKIET:
        constants = configs.timescales(config)
        shapes = {name: Stored(value.shape, value.dtype) for name, value in constants.items()}
        read = lambda name: constants[name] if name in constants else tensors.read(name)  # noqa: E731
        orbax.write_tree(directory, Tensors(tensors.stored | shapes, read))
    elif kind is Kind.NARI:
        directory.mkdir()
        write_safetensors(directory / WEIGHTS, tensors)
    else:
        write_directory(directory, tensors, config, kept)
    if kind in (Kind.NARI, Kind.PARKIET):
        configs.write_json(directory / configs.CONFIG, configs.nari_config(config, kept))
    if broken:
        raise UserError(
            f"The weights hold NaN or infinities{f' as {dtype}' if dtype else ''} ({', '.join(sorted(broken))}); "
            f"{'choose a wider --dtype, or ' if dtype else ''}convert a checkpoint from before they broke."
        )


def _rewrite(home: Home, named: Kind, dtype: str | None, progress: Progress) -> tuple[Tensors, list[str]]:
    """The home's tensors under other names, and those of those that turn out to hold NaN or infinities when read."""
    found, broken = places(named, home.config), []
    stored = {
        name: Stored(shape, DTYPES[dtype] if dtype else home.dtype(found[name].path, found[name].number))
        for name, shape in tensor_shapes(named, home.config).items()
    }
    # Wider types first, so that every tensor of a safetensors file begins at a multiple of its size.
    stored = dict(sorted(stored.items(), key=lambda item: -np.dtype(item[1].dtype).itemsize))
    numbers = {name: number for number, name in enumerate(stored, start=1)}

    def read(name: str) -> np.ndarray:
        place = found[name]
        with np.errstate(over="ignore"):
            value = home.piece(place.path, place.number).astype(stored[name].dtype, copy=False)
        if not np.isfinite(value).all():
            broken.append(name)
        progress(PARTS * numbers[name] // len(numbers), f"tensor {numbers[name]} of {len(numbers)}")
        return to_stored(named, place, value)

    return Tensors(stored, read), broken
