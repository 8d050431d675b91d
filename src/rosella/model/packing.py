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


def of(lengths: jax.Array, width: int) -> Packing:
    """The packing of utterances of these lengths [B, P], 0 for none, in rows of `width` positions."""
    ends = jnp.cumsum(lengths, axis=1)
    positions = jnp.arange(width)
    segments = jnp.sum(positions[:, None] >= ends[:, None, :], axis=-1)
    starts = jnp.take_along_axis(jnp.pad(ends, ((0, 0), (1, 0))), segments, axis=1)
    return Packing(segments, positions - starts)
