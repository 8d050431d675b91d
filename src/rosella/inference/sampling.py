"""From logits to chosen ids: pure functions of logits; hidden ids score minus infinity.

The order is Transformers' for Dia: guidance, temperature, end filter, top-k, top-p. Shapes are [..., C, V].
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from rosella.inference.settings import Filters, Numbers

_ALMOST_ONE = 1 - 2.0**-18
"""What a random number is at most, lest rounding takes it beyond the last id that may be drawn."""


def choose(logits: jax.Array, keys: jax.Array, numbers: Numbers, filters: Filters, eos: int) -> jax.Array:
    """Ids int32 [B, T, C] from logits [B, T, C, V], or [2 B, T, C, V] (conditional, unconditional) when guided."""
    scores = logits
    if filters.guided:
        conditional, unconditional = jnp.split(logits, 2)
        scores = guide(conditional, unconditional, numbers.guidance, filters.top_k)
    if filters.greedy:
        return jnp.argmax(filter_end(scores, eos), -1).astype(jnp.int32)
    scores = filter_end(scores / numbers.temperature, eos)
    if filters.top_k is not None and not filters.guided:  # guidance left no more
        scores = top_k(scores, filters.top_k)
    if filters.top_p:
        scores = top_p(scores, numbers.top_p)
    return draw(scores, keys)


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
    """An id int32 [B, ...] of each of scores [B, ..., V]; row b by keys[b] alone, whatever its companions.

    One random number each, looked up in the distribution function: a number for every id (the Gumbel trick) takes longer
    than a layer of a small model.
    """
    numbers = jax.vmap(lambda key: jax.random.uniform(key, scores.shape[1:-1]))(keys)
    below = jnp.cumsum(jax.nn.softmax(scores, axis=-1), axis=-1)
    sought = jnp.minimum(numbers, _ALMOST_ONE)[..., None] * below[..., -1:]
    # The sums of hidden ids are not quite those of the id before, as sums of floats are.
    return jnp.argmax((below > sought) & (scores > -jnp.inf), axis=-1).astype(jnp.int32)


def _best(scores: jax.Array, count: int) -> jax.Array:
    """A mask of exactly the `count` best ids; of equals, the lower ids."""
    count = min(count, scores.shape[-1])
    least = jax.lax.top_k(scores, count)[0][..., -1:]
    better, equal = scores > least, scores == least
    left = count - jnp.sum(better, axis=-1, keepdims=True)
    return better | (equal & (jnp.cumsum(equal, axis=-1) <= left))
