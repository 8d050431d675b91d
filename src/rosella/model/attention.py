"""Attention as Dia has it: rotary positions, grouped key heads, no scaling, one masking rule.

States are float32 between matrix products; a product casts its factors to the compute type, sums in float32.

Axes: B batch, T query steps, S key steps, D model width, N query heads, K key heads, H head width.
A mask is an additive float32 bias [B or 1, 1, T or 1, S]: 0 where a query may look, `HIDDEN` where not.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

HIDDEN = -1e30


class Weight(nnx.Param[jax.Array]):
    """A parameter with the logical axis of each dimension (see `sharding`)."""


def weight(rngs: nnx.Rngs, shape: tuple[int, ...], axes: tuple[str, ...], scale: float) -> Weight:
    """A float32 parameter drawn from a normal distribution of standard deviation `scale`."""
    # The rbg generator compiles in less than half the time of JAX's default, and there are many shapes to draw.
    key = jax.random.wrap_key_data(jnp.tile(jax.random.key_data(rngs.params()), 2), impl="rbg")
    return Weight(scale * jax.random.normal(key, shape, jnp.float32), axes=axes)


def rotary(positions: jax.Array, head_dim: int, theta: float) -> tuple[jax.Array, jax.Array]:
    """Cosine and sine, float32 [B, 1, T, H/2], of integer positions [B, T] (RoFormer, arXiv 2104.09864)."""
    frequencies = 1.0 / theta ** (jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim)
    angles = positions[:, None, :, None].astype(jnp.float32) * frequencies
    return jnp.cos(angles), jnp.sin(angles)


def rotate(x_BNTH: jax.Array, cos_sin: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Turns each pair (x[i], x[i + H/2]) by its angle."""
    cos, sin = cos_sin
    first, second = jnp.split(x_BNTH, 2, axis=-1)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def product(spec: str, dtype: jnp.dtype, x: jax.Array, y: jax.Array) -> jax.Array:
    """Float32 `einsum(spec, x, y)` of factors cast to `dtype`, in the backward pass too.

    JAX's own rule multiplies the float32 gradient: twice as slow as bfloat16 on a CPU that has it.
    """
    return jnp.einsum(spec, x.astype(dtype), y.astype(dtype), preferred_element_type=jnp.float32)


_Pair = tuple[jax.Array, jax.Array]


def _product_forward(spec: str, dtype: jnp.dtype, x: jax.Array, y: jax.Array) -> tuple[jax.Array, _Pair]:
    return product(spec, dtype, x, y), (x.astype(dtype), y.astype(dtype))


def _product_backward(spec: str, dtype: jnp.dtype, factors: _Pair, gradient: jax.Array) -> _Pair:
    (x, y), (inputs, out) = factors, spec.split("->")
    left, right = inputs.split(",")
    return product(f"{out},{right}->{left}", dtype, gradient, y), product(
        f"{left},{out}->{right}", dtype, x, gradient
    )


product.defvjp(_product_forward, _product_backward)


def attend(
    dtype: jnp.dtype, q_BNTH: jax.Array, k_BKSH: jax.Array, v_BKSH: jax.Array, bias: jax.Array
) -> jax.Array:
    """Softmax attention [B, N, T, H]; query head n reads key head n // (N / K)."""
    batch, heads, steps, width = q_BNTH.shape
    q_BKGTH = q_BNTH.reshape(batch, k_BKSH.shape[1], -1, steps, width)
    scores: jax.Array = product("BKGTH,BKSH->BKGTS", dtype, q_BKGTH, k_BKSH)
    chances = jax.nn.softmax(scores + bias[:, :, None], axis=-1)
    read: jax.Array = product("BKGTS,BKSH->BKGTH", dtype, chances, v_BKSH)
    return read.reshape(batch, heads, steps, width)


class Attention(nnx.Module):
    """The four projections of one attention, for `layers` layers stacked in front.

    Inside the stack's loop the layer axis is gone, so the einsums below show one layer.
    """

    def __init__(
        self,
        rngs: nnx.Rngs,
        layers: int,
        width: int,
        key_width: int,
        heads: int,
        key_heads: int,
        head_dim: int,
        scale: float,
        dtype: jnp.dtype,
    ):
        into = ("layers", "embed", "heads", "head_dim")
        self.dtype = dtype
        self.query = weight(rngs, (layers, width, heads, head_dim), into, scale)
        self.key = weight(rngs, (layers, key_width, key_heads, head_dim), into, scale)
        self.value = weight(rngs, (layers, key_width, key_heads, head_dim), into, scale)
        self.out = weight(
            rngs, (layers, heads, head_dim, width), ("layers", "heads", "head_dim", "embed"), scale
        )

    def queries(self, x_BTD: jax.Array) -> jax.Array:
        return product("BTD,DNH->BNTH", self.dtype, x_BTD, self.query[...])

    def keys_values(self, x_BSD: jax.Array) -> tuple[jax.Array, jax.Array]:
        k_BKSH: jax.Array = product("BSD,DKH->BKSH", self.dtype, x_BSD, self.key[...])
        return k_BKSH, product("BSD,DKH->BKSH", self.dtype, x_BSD, self.value[...])

    def output(self, q_BNTH: jax.Array, k_BKSH: jax.Array, v_BKSH: jax.Array, bias: jax.Array) -> jax.Array:
        """What the queries read [B, T, D]."""
        read = attend(self.dtype, q_BNTH, k_BKSH, v_BKSH, bias)
        return product("BNTH,NHD->BTD", self.dtype, read, self.out[...])
