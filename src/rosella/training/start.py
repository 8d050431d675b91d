"""What a run begins with: the model, the codec it speaks through, the export it is trained on."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import jax
from flax import nnx

from rosella.codec import Codec, load_codec
from rosella.errors import UserError
from rosella.model.config import DiaConfig, preset
from rosella.model.transformer import Dia
from rosella.shards.read import Export
from rosella.training.recipe import DataRecipe, ModelRecipe, Recipe
from rosella.weights import load_model


class Start(NamedTuple):
    """`config` names the codec of the run, which need not be the one the weights came with."""

    model: Dia
    config: DiaConfig
    codec: Codec
    export: Export


def start(recipe: Recipe) -> Start:
    """What a recipe asks for, loaded; a UserError for what cannot be found or does not fit."""
    model, config = start_model(recipe.model, recipe.seed)
    config = replace(config, codec=recipe.codec or config.codec)
    codec = load_codec(config.codec)
    export = Export.open(recipe.data.export, codec.fingerprint)
    return Start(model, config, codec, export)


def start_model(recipe: ModelRecipe, seed: int) -> tuple[Dia, DiaConfig]:
    """Loaded weights, or random ones of a preset with overrides."""
    if recipe.weights is not None:
        return load_model(recipe.weights)
    config = preset(recipe.preset or "mini", recipe.overrides)
    return initial_model(config, seed), config


def initial_model(config: DiaConfig, seed: int) -> Dia:
    """A model of random weights, compiled as one program instead of one per weight."""
    graph, _ = nnx.split(nnx.eval_shape(lambda: Dia(config, nnx.Rngs(seed))))
    return nnx.merge(graph, jax.jit(lambda: nnx.split(Dia(config, nnx.Rngs(seed)))[1])())


def check_export(export: Export, config: DiaConfig, data: DataRecipe) -> None:
    """Refuse an export or limits that the model cannot be trained with, before any work."""
    decoder, codec = config.decoder, export.codec
    if not config.fits(codec):
        raise UserError(
            f"The codes in {data.export} have {codec.num_codebooks} codebooks of {codec.codebook_size} entries, the "
            f"model expects {decoder.num_channels} of {decoder.eos_token_id}: tokenize with the model's codec."
        )
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
