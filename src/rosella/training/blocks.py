"""Block diffusion over delayed codebooks: what is hidden of a batch, and which of its ids are then to be told.

Blocks as in BD3-LM (arXiv 2503.09573), counted from the first step of each utterance. Step t tells the ids of t + 1, as
without blocks; so the first step of a block is always known, and what its last one tells is never an input of it.
Axes: B rows, P places for utterances in a row, L decoder steps, N those in whole blocks, C codebooks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rosella import delay
from rosella.model import packing
from rosella.model.config import DecoderConfig
from rosella.training.batches import Batch

BOUND = 0.02, 1.0
"""The noise of a bound on the likelihood. With less hidden, a few ids would outweigh all others; the bound is looser so."""


class Noisy(NamedTuple):
    """A batch, its input ids with some hidden behind padding, and which share of them was to be hidden around each step."""

    batch: Batch
    ids: Any  # int32 [B, L, C]
    shares: Any  # float32 [B, L]


class Blocks(NamedTuple):
    """The hidden ids in whole blocks, and what is to be told of them."""

    ids: jax.Array  # int32 [B, N, C]
    targets: jax.Array  # int32 [B, N, C], padding where nothing is to be told
    sure: jax.Array  # bool [B, N], steps whose targets are hidden whatever is drawn: no input of their block
    shares: jax.Array  # float32 [B, N]
    weights: jax.Array  # float32 [B, N], how much a step counts in the loss


def hide(
    batch: Batch, key: jax.Array, size: int, noise: tuple[float, float], decoder: DecoderConfig
) -> Noisy:
    """Hide of each block of `size` steps a share of its own, drawn from `noise`, of codes and ends, each by itself.

    The first step of a block stays, and what the delay pattern dictates, which whoever decodes knows too.
    """
    of_blocks, of_ids = jax.random.split(key)
    places = packing.of(batch.steps, batch.tokens.shape[1]).places
    drawn = jax.random.uniform(of_blocks, places.shape, jnp.float32, *noise)
    shares = jnp.take_along_axis(drawn, jnp.arange(places.shape[1]) - places % size, axis=1)
    hidden = jax.random.uniform(of_ids, batch.tokens.shape) < shares[..., None]
    hidden &= (places % size > 0)[..., None]
    hidden &= delay.learnable(batch.tokens, decoder.bos_token_id, decoder.pad_token_id)
    return Noisy(batch, jnp.where(hidden, decoder.pad_token_id, batch.tokens), shares)


def lay_out(noisy: Noisy, size: int, decoder: DecoderConfig) -> Blocks:
    """Whole blocks, of which every id that is hidden, and every one that is no input of its block, is to be told."""
    batch, pad = noisy.batch, decoder.pad_token_id
    ids, targets = (packing.in_blocks(each, batch.steps, size, pad) for each in (noisy.ids, batch.targets))
    laid = packing.of(packing.whole(batch.steps, size), ids.shape[1])
    sure = (laid.places % size == size - 1) | (laid.places + 1 >= laid.spread(batch.steps))
    told = sure[..., None] | jnp.roll(ids == pad, -1, axis=1)
    shares = packing.in_blocks(noisy.shares, batch.steps, size, 1)
    return Blocks(ids, jnp.where(told, targets, pad), sure, shares, laid.spread(batch.weights))


def bound_weights(blocks: Blocks) -> jax.Array:
    """How much each step counts [B, N] in a bound on the likelihood of all ids, for shares drawn evenly.

    An id that is hidden with a chance stands for all the times it is not; one that is hidden always, for itself.
    """
    return jnp.where(blocks.sure, 1.0, 1.0 / blocks.shares)
