"""From logits to chosen ids, as pure functions of logits; hidden ids score minus infinity.

The order is Transformers' for Dia: guidance, temperature, end filter, top-k, top-p. Shapes are [..., C, V].
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def guide(
    conditional: jax.Array, unconditional: jax.Array, scale: jax.Array | float, top_k: int | None
) -> jax.Array:
    """Classifier-free guidance (arXiv 2207.12598) as Dia does it.

    guided = c + scale (c - u). Its `top_k` best ids are kept, scored by c; without `top_k` it counts itself.
    """
    guided = conditional + scale * (conditional - unconditional)
    if top_k is None:
        return guided
    return jnp.where(_best(guided, top_k), conditional, -jnp.inf)


def filter_end(scores: jax.Array, eos: int) -> jax.Array:
    """Only codebook 0 of scores [..., C, V] may end, and it ends exactly when that is its most likely id.

    Ids above `eos` (padding, begin) are never chosen.
    """
    ids = jnp.arange(scores.shape[-1])
    first = jnp.arange(scores.shape[-2])[:, None] == 0
    scores = jnp.where((ids < eos) | (first & (ids == eos)), scores, -jnp.inf)
    ends = jnp.argmax(scores, axis=-1, keepdims=True) == eos
    return jnp.where(ends == (ids == eos), scores, -jnp.inf)


def top_k(scores: jax.Array, count: int) -> jax.Array:
    """Hides all but the `count` best ids."""
    return jnp.where(_best(scores, count), scores, -jnp.inf)


def top_p(scores: jax.Array, share: jax.Array | float) -> jax.Array:
    """Hides the least likely ids that together have at most 1 - share (arXiv 1904.09751), but the best."""
    order = jnp.argsort(scores, axis=-1)
    below = jnp.cumsum(jax.nn.softmax(jnp.take_along_axis(scores, order, -1), axis=-1), axis=-1)
    hidden = (below <= 1.0 - share).at[..., -1].set(False)
    return jnp.where(jnp.take_along_axis(hidden, jnp.argsort(order, axis=-1), -1), -jnp.inf, scores)


def draw(scores: jax.Array, keys: jax.Array) -> jax.Array:
    """One id per codebook of scores [B, C, V]; row b by keys[b] alone, whatever its companions."""
    return jax.vmap(lambda row, key: jax.random.categorical(key, row, axis=-1))(scores, keys).astype(
        jnp.int32
    )


def _best(scores: jax.Array, count: int) -> jax.Array:
    """A mask of exactly the `count` best ids; of equals, the lower ids."""
    _, chosen = jax.lax.top_k(scores, min(count, scores.shape[-1]))
    return jnp.any(jnp.arange(scores.shape[-1]) == chosen[..., None], axis=-2)
