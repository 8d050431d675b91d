"""Several utterances in one row, one behind the other. Axes: B rows, P places for utterances, W positions of a row."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Packing(NamedTuple):
    """Which utterance each position of a row belongs to, P behind the last, and the position's place within it."""

    segments: jax.Array  # int32 [B, W]
    places: jax.Array  # int32 [B, W]

    def spread(self, values: jax.Array) -> jax.Array:
        """What each position [B, W] has of the values [B, P] of the utterances; 0 behind the last."""
        behind = jnp.pad(values, ((0, 0), (0, 1)))
        return jnp.take_along_axis(behind, self.segments, axis=1)


def whole(lengths: jax.Array, size: int) -> jax.Array:
    """Lengths in whole blocks of so many positions."""
    return -(-lengths // size) * size


def in_blocks(values: jax.Array, lengths: jax.Array, size: int, fill: int) -> jax.Array:
    """Values [B, W, ...] of packed rows, each utterance completed with `fill` to whole blocks: [B, W + P (size - 1), ...].

    So the number of a last block's positions tells nothing about where its utterance ends.
    """
    packing = of(whole(lengths, size), values.shape[1] + lengths.shape[1] * (size - 1))
    starts, steps = packing.spread(jnp.cumsum(lengths, axis=1) - lengths), packing.spread(lengths)
    at, there = starts + jnp.minimum(packing.places, steps - 1), packing.places < steps
    like = (*there.shape, *(1,) * (values.ndim - 2))
    return jnp.where(there.reshape(like), jnp.take_along_axis(values, at.reshape(like), axis=1), fill)


def of(lengths: jax.Array, width: int) -> Packing:
    """The packing of utterances of these lengths [B, P], 0 for none, in rows of `width` positions."""
    ends = jnp.cumsum(lengths, axis=1)
    positions = jnp.arange(width)
    segments = jnp.sum(positions[:, None] >= ends[:, None, :], axis=-1)
    starts = jnp.take_along_axis(jnp.pad(ends, ((0, 0), (1, 0))), segments, axis=1)
    return Packing(segments, positions - starts)
