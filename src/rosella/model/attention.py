"""Attention as Dia has it: rotary positions, grouped key heads, no scaling, one masking rule.

States are float32 between matrix products; a product casts its factors to the compute type, sums in float32.

Axes: B batch, T query steps, S key steps, D model width, N query heads, K key heads, H head width.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.ad_checkpoint import checkpoint_name

from rosella.model import kernels
from rosella.model.int8 import Int8
from rosella.model.masking import Mask
from rosella.model.sharding import platform

LINEAR = "linear"
"""The name of what a product with weights gives, by which rematerialisation may keep it."""

PIECE, PIECES = 128, 8
"""Queries that a causal attention takes at once, at least, and the number of such pieces, at most."""

FEW = 16
"""Rows that a product with a turned weight adds up side by side, at most."""

LEAST_READ = 128
"""Slots of a cache that a single step reads at least; beyond, as few of twice as many each time as hold what is known."""


class Weight(nnx.Param[jax.Array]):
    """A parameter with the logical axis of each dimension (see `sharding`)."""


def weight(rngs: nnx.Rngs, shape: tuple[int, ...], axes: tuple[str, ...], scale: float) -> Weight:
    """A float32 parameter drawn from a normal distribution of standard deviation `scale`."""
    # The rbg generator compiles in less than half the time of JAX's default, and there are many shapes to draw.
    key = jax.random.wrap_key_data(jnp.tile(jax.random.key_data(rngs.params()), 2), impl="rbg")
    return Weight(scale * jax.random.normal(key, shape, jnp.float32), axes=axes)


@lru_cache
def _turns(positions: int, head_dim: int, theta: float) -> np.ndarray:
    frequencies = 1.0 / np.float32(theta) ** (np.arange(0, head_dim, 2, dtype=np.float32) / head_dim)
    angles = np.arange(positions, dtype=np.float32)[:, None] * frequencies
    return np.stack([np.cos(angles), np.sin(angles)])


def rotary(positions: jax.Array, most: int, head_dim: int, theta: float) -> tuple[jax.Array, jax.Array]:
    """Cosine and sine, float32 [B, 1, T, H/2], of integer positions [B, T] below `most` (RoFormer, arXiv 2104.09864).

    They are looked up: a compiler would compute them anew for every number that they turn.
    """
    cos, sin = jnp.asarray(_turns(most, head_dim, theta))[:, positions][:, :, None]
    return cos, sin


def rotate(x_BNTH: jax.Array, cos_sin: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Turns each pair (x[i], x[i + H/2]) by its angle."""
    cos, sin = cos_sin
    first, second = jnp.split(x_BNTH, 2, axis=-1)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def product(spec: str, dtype: jnp.dtype, x: jax.Array, y: jax.Array) -> jax.Array:
    """Float32 `einsum(spec, x, y)` of factors cast to `dtype`."""
    return jnp.einsum(spec, x.astype(dtype), y.astype(dtype), preferred_element_type=jnp.float32)


def linear(
    dtype: jnp.dtype, x: jax.Array, weight: jax.Array | Int8, turned: bool = False, inputs: int = 1
) -> jax.Array:
    """Float32 [..., *E] of states [..., D] and a weight of so many `inputs` axes that are D together, [*D, *E], or
    `turned` [*E, D], as one product of two matrices.

    Its backward pass casts to `dtype` too: JAX's own rule multiplies the float32 gradient.
    """
    if isinstance(weight, Int8):
        return linear(dtype, x, weight.values, turned, inputs) * weight.scale
    x_MD = x.reshape(-1, x.shape[-1])
    if turned:
        made = _multiply_turned(dtype, x_MD, weight.reshape(-1, x.shape[-1]))
        return made.reshape(*x.shape[:-1], *weight.shape[:-1])
    made: Any = _multiply(dtype, x_MD, weight.reshape(x.shape[-1], -1))
    made = checkpoint_name(made, LINEAR)
    return made.reshape(*x.shape[:-1], *weight.shape[inputs:])


def turns_weights() -> bool:
    """Whether decoding turns its weights, which wants a program that may add in another order: on a CPU."""
    return jax.default_backend() == "cpu"


def turn(weight: Weight, inputs: int = 1) -> Weight:
    """[*E, D] of a weight [*D, *E], with so many axes D."""
    turned = jnp.moveaxis(weight[...], range(inputs), range(-inputs, 0))
    return Weight(turned.reshape(*weight.shape[inputs:], -1), axes=())


def _multiply_turned(dtype: jnp.dtype, x_MD: jax.Array, w_ED: jax.Array) -> jax.Array:
    if 1 < len(x_MD) <= FEW or (len(x_MD) == 1 and w_ED.dtype == jnp.int8):
        return _sums_of_few(dtype, x_MD, w_ED)
    return product("MD,ED->ME", dtype, x_MD, w_ED)


def _sums_of_few(dtype: jnp.dtype, x: jax.Array, y: jax.Array) -> jax.Array:
    """Float32 [..., M, E] of x [..., M, D] and y [..., E, D]: all M sums in one pass over y, of which memory is the limit.

    XLA's own product of two rows reads it at half the speed. A compiler that may not add in another order than written
    (`inference.decoding.program`) takes sixty times longer.
    """
    x, y = (each.astype(dtype).astype(jnp.float32) for each in (x, y))
    rows = x.shape[-2]
    terms = tuple(x[..., row, None, :] * y for row in range(rows))
    sums = jax.lax.reduce(terms, (jnp.float32(0),) * rows, partial(jax.tree.map, jnp.add), (y.ndim - 1,))
    return jnp.stack(sums, -2)


_Pair = tuple[jax.Array, jax.Array]


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _multiply(dtype: jnp.dtype, x_MD: jax.Array, w_DE: jax.Array) -> jax.Array:
    return product("MD,DE->ME", dtype, x_MD, w_DE)


def _multiply_forward(dtype: jnp.dtype, x_MD: jax.Array, w_DE: jax.Array) -> tuple[jax.Array, _Pair]:
    return product("MD,DE->ME", dtype, x_MD, w_DE), (x_MD.astype(dtype), w_DE.astype(dtype))


def _multiply_backward(dtype: jnp.dtype, factors: _Pair, gradient_ME: jax.Array) -> _Pair:
    x_MD, w_DE = factors
    by_x = product("ME,DE->MD", dtype, gradient_ME, w_DE)
    return by_x, product("MD,ME->DE", dtype, x_MD, gradient_ME)


_multiply.defvjp(_multiply_forward, _multiply_backward)


def attend(
    dtype: jnp.dtype,
    q_BNTH: jax.Array,
    k_BKSH: jax.Array,
    v_BKSH: jax.Array,
    mask: Mask,
    own_kernels: bool = True,
) -> jax.Array:
    """Softmax attention, float32 [B, N, T, H]; query head n reads key head n // (N / K).

    By a kernel of the devices of the mesh in use where there is one that serves this (`kernels.choose`), else by XLA;
    without `own_kernels` always by XLA.
    """
    kernel = kernels.choose(dtype, q_BNTH, k_BKSH, mask) if own_kernels else None
    if kernel is not None:
        q_BNTH, k_BKSH, v_BKSH = (each.astype(dtype) for each in (q_BNTH, k_BKSH, v_BKSH))
        return kernels.on_each_device(kernel, q_BNTH, k_BKSH, v_BKSH, mask).astype(jnp.float32)
    batch, _, steps, width = q_BNTH.shape
    q_BKGTH = q_BNTH.reshape(batch, k_BKSH.shape[1], -1, steps, width)
    bias = _by_key_head(mask.additive(steps, k_BKSH.shape[2]), k_BKSH.shape[1])
    # In pieces, a TPU's compiler takes twice as long.
    pieces = mask.causal and platform() != "tpu"
    read: Any = _attend(dtype, pieces, q_BKGTH, k_BKSH, v_BKSH, bias)
    return read.reshape(q_BNTH.shape)


def _attend_one(
    dtype: jnp.dtype, q_BNTH: jax.Array, k_BKSH: jax.Array, v_BKSH: jax.Array, bias: jax.Array
) -> jax.Array:
    """`attend` of a single step, whose queries of one key head read the keys together."""
    batch, heads, _, width = q_BNTH.shape
    q_BKGH = q_BNTH.reshape(batch, k_BKSH.shape[1], -1, width)
    if q_BKGH.shape[2] > 1:
        scores = _sums_of_few(dtype, q_BKGH, k_BKSH)
    else:
        scores = product("BKGH,BKSH->BKGS", dtype, q_BKGH, k_BKSH)
    bias = _by_key_head(bias, k_BKSH.shape[1])[..., 0, :]
    read = product("BKGS,BKSH->BKGH", dtype, jax.nn.softmax(scores + bias, axis=-1), v_BKSH)
    return read.reshape(batch, heads, 1, width)


def _by_key_head(bias: jax.Array, key_heads: int) -> jax.Array:
    """A bias [B, N or 1, T, S] by the key heads that its heads read: [B, K or 1, N / K or 1, T, S]."""
    if bias.shape[1] == 1:
        return bias[:, :, None]
    return bias.reshape(len(bias), key_heads, -1, *bias.shape[2:])


def _attend_known(
    dtype: jnp.dtype,
    q_BNTH: jax.Array,
    k_BKSH: jax.Array,
    v_BKSH: jax.Array,
    bias: jax.Array,
    known: jax.Array,
) -> jax.Array:
    """`_attend_one` of keys of which only the first `known` are seen, so that few of the others are read."""
    widths = [LEAST_READ << doublings for doublings in range(32) if LEAST_READ << doublings < k_BKSH.shape[2]]
    enough = jnp.sum(known > jnp.array(widths, jnp.int32))

    def reading(width: int) -> Any:
        return lambda q, k, v, bias: _attend_one(
            dtype, q, k[:, :, :width], v[:, :, :width], bias[..., :width]
        )

    branches = [reading(width) for width in (*widths, k_BKSH.shape[2])]
    return jax.lax.switch(enough, branches, q_BNTH, k_BKSH, v_BKSH, bias)


def put(known_BKMH: jax.Array, new_BKTH: jax.Array, slots: jax.Array) -> jax.Array:
    """New keys or values in a cache, those of row b from slots[b] on."""
    at = partial(jax.lax.dynamic_update_slice_in_dim, axis=1)
    return jax.vmap(at)(known_BKMH, new_BKTH.astype(known_BKMH.dtype), slots)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _attend(
    dtype: jnp.dtype, pieces: bool, q_BKGTH: jax.Array, k_BKSH: jax.Array, v_BKSH: jax.Array, bias: jax.Array
) -> jax.Array:
    return _attend_forward(dtype, pieces, q_BKGTH, k_BKSH, v_BKSH, bias)[0]


def _attend_forward(
    dtype: jnp.dtype, pieces: bool, q: jax.Array, k: jax.Array, v: jax.Array, bias: jax.Array
) -> tuple[jax.Array, Any]:
    read, chances = list[jax.Array](), list[jax.Array]()
    for rows, known in _pieces(q.shape[3], k.shape[2], pieces):
        scores = product("BKGTH,BKSH->BKGTS", dtype, q[:, :, :, rows], k[:, :, :known])
        hidden = bias[..., rows, :known] if bias.shape[3] > 1 else bias[..., :known]
        chances.append(jax.nn.softmax(scores + hidden, axis=-1).astype(dtype))
        read.append(product("BKGTS,BKSH->BKGTH", dtype, chances[-1], v[:, :, :known]))
    out = jnp.concatenate(read, 3)
    return out, (q.astype(dtype), k.astype(dtype), v.astype(dtype), chances, out)


def _attend_backward(
    dtype: jnp.dtype, pieces: bool, kept: Any, gradient: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, None]:
    """The softmax's own derivative, from the chances kept; keys and values gather from all pieces of queries."""
    q, k, v, chances, out = kept
    by_q, by_k, by_v = list[jax.Array](), jnp.zeros(k.shape), jnp.zeros(v.shape)
    for (rows, known), chance in zip(_pieces(q.shape[3], k.shape[2], pieces), chances, strict=True):
        piece = gradient[:, :, :, rows]
        by_chance = product("BKGTH,BKSH->BKGTS", dtype, piece, v[:, :, :known])
        mean = jnp.sum(piece * out[:, :, :, rows], axis=-1, keepdims=True)
        by_score = chance * (by_chance - mean)
        by_q.append(product("BKGTS,BKSH->BKGTH", dtype, by_score, k[:, :, :known]))
        of_k = product("BKGTS,BKGTH->BKSH", dtype, by_score, q[:, :, :, rows])
        by_k = by_k.at[:, :, :known].add(of_k)
        by_v = by_v.at[:, :, :known].add(product("BKGTS,BKGTH->BKSH", dtype, chance, piece))
    return jnp.concatenate(by_q, 3), by_k, by_v, None


_attend.defvjp(_attend_forward, _attend_backward)


def _pieces(steps: int, keys: int, several: bool) -> list[tuple[slice, int]]:
    """Pieces of the queries, and how many keys each may see: of a causal attention a little more than half."""
    if not several:
        return [(slice(0, steps), keys)]
    size = -(-steps // min(max(steps // PIECE, 1), PIECES))
    return [(slice(at, min(at + size, steps)), min(at + size, steps)) for at in range(0, steps, size)]


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
        self.dtype, self.own_kernels, self.turned = dtype, True, False
        self.query = weight(rngs, (layers, width, heads, head_dim), into, scale)
        self.key = weight(rngs, (layers, key_width, key_heads, head_dim), into, scale)
        self.value = weight(rngs, (layers, key_width, key_heads, head_dim), into, scale)
        self.out = weight(
            rngs, (layers, heads, head_dim, width), ("layers", "heads", "head_dim", "embed"), scale
        )

    def turn(self, own: bool) -> None:
        """Lay the weights of one layer out for products of a few rows; `own` are queries, keys and values of the same
        states, which become one product.
        """
        self.query, self.key, self.value = turn(self.query), turn(self.key), turn(self.value)
        self.out, self.turned = turn(self.out, inputs=2), True
        if own:
            self.heads = self.query.shape[0], self.key.shape[0]
            self.own = Weight(jnp.concatenate([self.query[...], self.key[...], self.value[...]]), axes=())
            del self.query, self.key, self.value

    def project(self, x_BTD: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Queries, keys and values of the same states."""
        if not self.turned:
            return self.queries(x_BTD), *self.keys_values(x_BTD)
        made = linear(self.dtype, x_BTD, self.own.get_value(), turned=True).swapaxes(1, 2)
        heads, key_heads = self.heads
        queries, keys, values = jnp.split(made, [heads, heads + key_heads], axis=1)
        return queries, keys, values

    def queries(self, x_BTD: jax.Array) -> jax.Array:
        return linear(self.dtype, x_BTD, self.query.get_value(), self.turned).swapaxes(1, 2)

    def keys_values(self, x_BSD: jax.Array) -> tuple[jax.Array, jax.Array]:
        k_BSKH, v_BSKH = (
            linear(self.dtype, x_BSD, each.get_value(), self.turned) for each in (self.key, self.value)
        )
        return k_BSKH.swapaxes(1, 2), v_BSKH.swapaxes(1, 2)

    def output(
        self,
        q_BNTH: jax.Array,
        k_BKSH: jax.Array,
        v_BKSH: jax.Array,
        mask: Mask,
        known: jax.Array | None = None,
    ) -> jax.Array:
        """What the queries read [B, T, D]; `known` promises that only so many keys, the first, are seen."""
        if self.turned and q_BNTH.shape[2] == 1:
            keys = q_BNTH, k_BKSH, v_BKSH, mask.additive(1, k_BKSH.shape[2])
            read_BNTH = (
                _attend_one(self.dtype, *keys) if known is None else _attend_known(self.dtype, *keys, known)
            )
        else:
            read_BNTH = attend(self.dtype, q_BNTH, k_BKSH, v_BKSH, mask, self.own_kernels)
        read_BTNH = read_BNTH.swapaxes(1, 2)
        batch, steps, heads, width = read_BTNH.shape
        read = read_BTNH.reshape(batch, steps, heads * width)
        return linear(self.dtype, read, self.out.get_value(), self.turned, inputs=2)
