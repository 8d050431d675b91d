"""Models loaded from any of their homes, and written to model directories.

A model directory holds `config.json`, `generation_config.json` and safetensors as
`transformers.DiaForConditionalGeneration.from_pretrained` reads them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx
from jax.sharding import Mesh

from rosella.errors import UserError
from rosella.model.config import DiaConfig
from rosella.model.sharding import put, shardings
from rosella.model.transformer import Dia
from rosella.weights.configs import CONFIG, write_config, write_json
from rosella.weights.homes import Home, open_home
from rosella.weights.names import Kind, ParameterPath, places, tensor_shapes, to_stored
from rosella.weights.tensors import DTYPES, WEIGHTS, Stored, Tensors, write_safetensors

Kept = float | Mapping[str, float]
"""A share of every parameter; or by name, `{"decoder.layers.self_attention": 1.0}`, of what has that name or lies below it,
and nothing of the others. Where several names fit, the longest counts."""


def load_model(name_or_path: str | os.PathLike[str], mesh: Mesh | None = None) -> tuple[Dia, DiaConfig]:
    """A model and its configuration from any home, or from the hub by name; parameters are float32.

    On a `mesh` every device gets its shards alone; a host holds one parameter after another. Raises UserError when
    it cannot be found, or when tensors are missing, unexpected or misshaped (all are listed).
    """
    home = open_home(name_or_path)
    model = nnx.eval_shape(lambda: Dia(home.config, nnx.Rngs(0)))
    graph, state = nnx.split(model)
    flat: Any = nnx.to_flat_state(state)
    placed = dict(nnx.to_flat_state(shardings(model, mesh))) if mesh else {}
    # The largest first, since each is held twice while it is handed to JAX.
    params = sorted(flat, key=lambda item: item[1].size, reverse=True)
    filled = [
        (path, leaf.replace(put(_parameter(home, path, leaf.shape), placed.get(path))))
        for path, leaf in params
    ]
    return nnx.merge(graph, nnx.from_flat_state(filled)), home.config


def interpolate(model: Dia, other: str | os.PathLike[str], keep: Kept) -> Dia:
    """A model of which a share is another of the same shape, parameter by parameter, in the host's memory.

    What was fine-tuned and what it began with lie in one valley of the loss: between them much of both is known (WiSE-FT,
    arXiv 2109.01903).
    """
    home, (graph, state) = open_home(other), nnx.split(model)
    flat: Any = nnx.to_flat_state(state)
    shares = kept_shares([".".join(path) for path, _ in flat], keep)
    mixed = [
        (path, leaf.replace((1 - share) * np.asarray(leaf[...]) + share * _parameter(home, path, leaf.shape)))
        for (path, leaf), share in zip(flat, shares, strict=True)
    ]
    return nnx.merge(graph, nnx.from_flat_state(mixed))


def kept_shares(names: Sequence[str], keep: Kept) -> list[float]:
    """What is kept of each parameter; UserError where one is named that there is not."""
    if not isinstance(keep, Mapping):
        return [keep] * len(names)
    for part in keep:
        if not any(_lies_in(name, part) for name in names):
            raise UserError(
                f"The model has no parameter {part}: choose of {', '.join(names)}, or what these begin with."
            )
    parts = [max((part for part in keep if _lies_in(name, part)), key=len, default=None) for name in names]
    return [0.0 if part is None else keep[part] for part in parts]


def _lies_in(name: str, part: str) -> bool:
    return f"{name}.".startswith(f"{part}.")


def save_model(
    directory: str | os.PathLike[str], model: Dia, config: DiaConfig, dtype: str = "float32"
) -> None:
    """Writes a model directory; each file appears whole or not at all. A `dtype` of float16 halves it."""
    values = dict(nnx.to_flat_state(nnx.state(model, nnx.Param)))
    named = Kind.ROSELLA.named
    found = places(named, config)

    def read(name: str) -> np.ndarray:
        place = found[name]
        whole = values[place.path][...]
        ours = np.asarray(whole if place.number is None else whole[place.number])
        return to_stored(named, place, ours).astype(dtype)

    stored = {name: Stored(shape, DTYPES[dtype]) for name, shape in tensor_shapes(named, config).items()}
    write_directory(Path(directory), Tensors(stored, read), config, dtype)


def write_directory(directory: Path, tensors: Tensors, config: DiaConfig, dtype: str) -> None:
    """Writes a model directory of tensors in Transformers' layout; `dtype` is what loading makes of them."""
    directory.mkdir(parents=True, exist_ok=True)
    write_safetensors(directory / WEIGHTS, tensors)
    write_json(directory / "generation_config.json", _generation_config(config))
    write_config(directory / CONFIG, config, dtype)


def _parameter(home: Home, path: ParameterPath, shape: tuple[int, ...]) -> np.ndarray:
    if "layers" not in path:
        return np.asarray(home.piece(path, None), np.float32)
    whole = np.empty(shape, np.float32)
    for layer in range(shape[0]):
        whole[layer] = home.piece(path, layer)
    return whole


def _generation_config(config: DiaConfig) -> dict[str, Any]:
    decoder = config.decoder
    return {
        "bos_token_id": decoder.bos_token_id,
        "decoder_start_token_id": decoder.bos_token_id,
        "eos_token_id": decoder.eos_token_id,
        "pad_token_id": decoder.pad_token_id,
        "max_length": decoder.max_position_embeddings,
        "do_sample": config.temperature > 0,
        "guidance_scale": config.guidance,
        "temperature": config.temperature or 1.0,
        "top_k": 50,
    }
