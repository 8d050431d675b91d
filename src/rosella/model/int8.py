"""Weights in eight bits for decoding steps, of which reading the weights is the limit; what is computed is not rounded.

Symmetric, with a scale for each output: |weight - values * scale| <= scale / 2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

LARGEST = 127


class Int8(NamedTuple):
    """A weight as `values` int8, laid out as it was, times `scale` float32 [*E] of each output."""

    values: jax.Array
    scale: jax.Array

    @property
    def size(self) -> int:
        return self.values.size


def rounded(weight: jax.Array, turned: bool, inputs: int) -> Int8:
    """Of a weight [*D, *E] with so many axes D, or `turned` [*E, D]."""
    axes = (-1,) if turned else tuple(range(inputs))
    most = jnp.max(jnp.abs(weight), axis=axes, keepdims=True).astype(jnp.float32)
    scale = jnp.where(most > 0, most, 1.0) / LARGEST  # an output of zeros stays one
    values = jnp.round(weight / scale).astype(jnp.int8)
    return Int8(values, scale.squeeze(axes))


def round_weights(part: Any, turned: bool) -> None:
    """Hold all weights of an attention or a feedforward, of one layer, in eight bits."""
    for name, weight in list(vars(part).items()):
        if isinstance(weight, nnx.Param):
            held: Any = rounded(weight[...], turned, inputs=2 if name == "out" else 1)
            setattr(part, name, nnx.Param(held))
