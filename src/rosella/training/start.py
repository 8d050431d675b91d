"""What a run begins with: the model, the codec it speaks through, the export it is trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from rosella.codec import Codec, load_codec
from rosella.errors import UserError
from rosella.model.config import DiaConfig, preset
from rosella.model.sharding import put
from rosella.model.transformer import Dia
from rosella.shards.read import Export
from rosella.training.mesh import check_mesh
from rosella.training.recipe import DataRecipe, ModelRecipe, Recipe
from rosella.training.state import Skeleton
from rosella.weights import load_model, open_home
from rosella.weights.models import kept_shares

Weights = Callable[[Mesh], Dia]
"""Brings the weights that a run begins with onto a mesh, each device its shards."""


class Start(NamedTuple):
    """`config` names the codec of the run, which need not be the one the weights came with."""

    weights: Weights
    config: DiaConfig
    codec: Codec
    export: Export


def start(recipe: Recipe) -> Start:
    """What a recipe asks for; a UserError for what cannot be found or does not fit. No device is touched."""
    config = run_config(recipe)
    check_mesh(recipe.mesh, config)
    kept_shares([*Skeleton.computing(config, recipe).shapes], recipe.model.keep)
    codec = load_codec(config.codec)
    export = Export.open(recipe.data.export, codec.fingerprint)
    return Start(partial(start_model, recipe.model, recipe.seed), config, codec, export)


def run_config(recipe: Recipe) -> DiaConfig:
    """Of what it begins with, speaking through the run's codec, in the blocks that it will have learnt."""
    config = start_config(recipe.model)
    blocks = recipe.blocks.size if recipe.objective == "blocks" else 1
    return replace(config, codec=recipe.codec or config.codec, blocks=blocks)


def start_config(recipe: ModelRecipe) -> DiaConfig:
    """Of the weights, or of a preset with overrides."""
    if recipe.weights is not None:
        return open_home(recipe.weights).config
    return preset(recipe.preset or "mini", recipe.overrides)


def start_model(recipe: ModelRecipe, seed: int, mesh: Mesh) -> Dia:
    """Loaded weights, or random ones of a preset with overrides."""
    if recipe.weights is not None:
        return load_model(recipe.weights, mesh)[0]
    return initial_model(start_config(recipe), seed, mesh)


def initial_model(config: DiaConfig, seed: int, mesh: Mesh) -> Dia:
    """A model of random weights, compiled as one program instead of one per weight.

    They are drawn in the host's memory, so that they are the same however many devices of whatever kind they go to.
    """
    abstract = nnx.eval_shape(lambda: Dia(config, nnx.Rngs(seed)))
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        drawn = jax.jit(lambda: nnx.split(Dia(config, nnx.Rngs(seed)))[1])()
    return on_mesh(nnx.merge(nnx.split(abstract)[0], drawn), mesh)


def on_mesh(model: Dia, mesh: Mesh) -> Dia:
    """The same weights, of which every device of a mesh holds its shards."""
    skeleton, params = Skeleton.of(model)
    places = skeleton.abstract(mesh)
    return skeleton.join(
        {name: put(np.asarray(value), places[name].sharding) for name, value in params.items()}
    )


def check_export(export: Export, config: DiaConfig, data: DataRecipe) -> None:
    """Refuse an export or limits that the model cannot be trained with, before any work."""
    decoder, codec = config.decoder, export.codec
    if not config.fits(codec):
        raise UserError(
            f"The codes in {data.export} have {codec.num_codebooks} codebooks of {codec.codebook_size} entries, the "
            f"model expects {decoder.num_channels} of {decoder.eos_token_id}: tokenize with the model's codec."
        )
    check_limits(config, data)


def check_limits(config: DiaConfig, data: DataRecipe) -> None:
    """Refuse lengths that the model has no positions for."""
    decoder = config.decoder
    if config.longest_delay >= data.max_frames:
        raise UserError(
            f"data.max_frames is {data.max_frames}, but the delay pattern alone takes {config.longest_delay} "
            "frames: raise data.max_frames."
        )
    steps = config.steps(data.max_frames)
    if steps > decoder.max_position_embeddings:
        raise UserError(
            f"data.max_frames {data.max_frames} needs {steps} decoder positions, the model has "
            f"{decoder.max_position_embeddings}: lower data.max_frames."
        )
    if data.max_text_bytes > config.encoder.max_position_embeddings:
        raise UserError(
            f"data.max_text_bytes is {data.max_text_bytes}, the model reads at most "
            f"{config.encoder.max_position_embeddings}: lower data.max_text_bytes."
        )
