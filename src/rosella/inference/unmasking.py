"""Which ids of a block become known after a pass: pure functions of logits, of what is known and of the pass's number.

Shapes are [B, T, C] for ids of B rows, T steps and C codebooks, and [B, T, C, V] for logits.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from rosella.inference.settings import Order


def confidence(logits: jax.Array, chosen: jax.Array, prior: jax.Array | None = None) -> jax.Array:
    """How likely the chosen ids are, log p; with a `prior` log p [C, V], how much likelier than they are anyway."""
    chances = jax.nn.log_softmax(logits, axis=-1)
    scores = chances if prior is None else chances - prior
    return jnp.take_along_axis(scores, chosen[..., None], -1)[..., 0]


def due(hidden: jax.Array, number: jax.Array | int, passes: int) -> jax.Array:
    """How many of a row's hidden ids [B] become known after pass `number`, from 0, if all do so in equal shares."""
    left = jnp.sum(hidden, axis=(1, 2))
    return -(-left // jnp.maximum(passes - number, 1))


def surest(scores: jax.Array, hidden: jax.Array, count: jax.Array, order: Order) -> jax.Array:
    """The `count` [B] hidden ids of the best scores, of equals the earlier; `low first`, those of lower codebooks before."""
    depth = jnp.arange(scores.shape[-1]) if order == "low first" else 0
    flat = scores.reshape(len(scores), -1)
    last = jnp.where(hidden, depth, scores.shape[-1]).reshape(flat.shape)  # what is known comes behind all
    ranked = jnp.lexsort((-flat, last), axis=-1)
    places = jnp.argsort(ranked, axis=-1).reshape(scores.shape)
    return hidden & (places < count[:, None, None])


def bar(scores: jax.Array, hidden: jax.Array, quantile: float) -> jax.Array:
    """That quantile [B] of the scores of a row's hidden ids."""
    return jnp.nanquantile(jnp.where(hidden, scores, jnp.nan), quantile, axis=(1, 2))


def early(scores: jax.Array, hidden: jax.Array, due: jax.Array, least: jax.Array, order: Order) -> jax.Array:
    """The ids that are `due`, and the hidden ones whose scores are at least `least` [B].

    `low first`, only where no lower codebook of the same step stays hidden.
    """
    taken = due | (hidden & (scores >= least[:, None, None]))
    if order == "free":
        return taken
    return due | (taken & jnp.cumprod(~hidden | taken, axis=-1).astype(bool))


def cooled(temperature: jax.Array | float, codebooks: int, cooling: float) -> jax.Array:
    """The temperature [C, 1] of each codebook, lower with its depth (DiSTAR, arXiv 2510.12210)."""
    return temperature * cooling ** jnp.arange(codebooks, dtype=jnp.float32)[:, None]
