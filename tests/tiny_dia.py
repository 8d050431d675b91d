"""A Dia of a few thousand parameters with every kind of part that the large one has."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rosella.model.config import DecoderConfig, DiaConfig, EncoderConfig
from rosella.model.transformer import Dia


def shaped(
    codebooks: int = 3,
    entries: int = 16,
    delays: tuple[int, ...] = (0, 2, 3),
    steps: int = 128,
    codec: str = "mini",
    layers: int = 2,
) -> DiaConfig:
    """For codes of so many codebooks and entries, with room for so many decoder steps; one layer compiles in less time."""
    return DiaConfig(
        encoder=EncoderConfig(16, layers, 2, 2, 8, intermediate_size=24, max_position_embeddings=64),
        decoder=DecoderConfig(
            hidden_size=24,
            num_hidden_layers=layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            cross_num_attention_heads=4,
            cross_num_key_value_heads=2,
            cross_head_dim=4,
            cross_hidden_size=16,
            intermediate_size=40,
            max_position_embeddings=steps,
            vocab_size=entries + 4,
            num_channels=codebooks,
            eos_token_id=entries,
            pad_token_id=entries + 1,
            bos_token_id=entries + 2,
        ),
        delay_pattern=delays,
        codec=codec,
    )


CONFIG = shaped()
ATTEND = replace(CONFIG, cross_attention_padding="attend", trained_text_length=32)
READS = replace(CONFIG, readers=((1, 3), (0, 1), (1, 0), (0, 2)))
"""Some of its heads read along, or are taken to."""


def model(config: DiaConfig = CONFIG, seed: int = 0) -> Dia:
    """Random weights, spread wider than at the start of training so that every part shows in the logits."""
    graph, weights = nnx.split(nnx.eval_shape(lambda: Dia(config, nnx.Rngs(0))))
    random = np.random.default_rng(seed)

    def draw(leaf):
        layers = config.decoder.num_hidden_layers
        ones = leaf.ndim == 1 or (leaf.ndim == 2 and leaf.shape[0] == layers)  # the scales of norms
        return jnp.ones(leaf.shape) if ones else jnp.asarray(random.normal(0, 0.16, leaf.shape), jnp.float32)

    return nnx.merge(graph, jax.tree.map(draw, weights))


def batch(config: DiaConfig = CONFIG, rows: int = 3, width: int = 12, steps: int = 10, seed: int = 0):
    """Text ids [B, S] with rows of different lengths, their lengths, and delayed ids [B, T, C]."""
    random = np.random.default_rng(seed)
    lengths = np.array([width, *random.integers(2, width, rows - 1)], np.int32)
    ids = np.where(np.arange(width) < lengths[:, None], random.integers(1, 255, (rows, width)), 0).astype(
        np.int32
    )
    tokens = random.integers(0, config.decoder.vocab_size - 1, (rows, steps, config.decoder.num_channels))
    return ids, lengths, tokens.astype(np.int32)
