"""From logits to chosen ids: pure functions of logits; hidden ids score minus infinity.

The order is Transformers' for Dia: guidance, temperature, end filter, top-k, top-p. Shapes are [..., C, V].
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from rosella.inference.settings import Filters, Numbers

_ALMOST_ONE = 1 - 2.0**-18
"""What a random number is at most, lest rounding takes it beyond the last id that may be drawn."""
_SIGN = np.uint32(1 << 31)
"""The bit of a float32 that is its sign."""


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
        scores = top_p(scores, numbers.top_p, filters.top_k)
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


def top_p(scores: jax.Array, share: jax.Array | float, most: int | None = None) -> jax.Array:
    """Hides the least likely ids that together have at most 1 - share (arXiv 1904.09751), but the best; of equals, the
    higher ids. Other filters left at most `most`.
    """
    count = min(most or scores.shape[-1], scores.shape[-1])
    ranked = jax.lax.top_k(scores, count)[0]
    below = jnp.cumsum(jax.nn.softmax(ranked[..., ::-1], axis=-1), axis=-1)[..., :-1]
    kept = count - jnp.sum(below <= 1.0 - share, axis=-1, keepdims=True)
    least = jnp.take_along_axis(ranked, kept - 1, -1)
    return jnp.where(_at_least(scores, least, kept), scores, -jnp.inf)


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
    by_rank = partial(_least_by_rank, count=count)
    least = jax.lax.platform_dependent(scores, cpu=partial(_least_by_bits, count=count), default=by_rank)
    return _at_least(scores, least, count)


def _at_least(scores: jax.Array, least: jax.Array, count: jax.Array | int) -> jax.Array:
    """A mask of the `count` best ids, of which `least` [..., 1] is the worst score."""
    better, equal = scores > least, scores == least
    left = count - jnp.sum(better, axis=-1, keepdims=True)
    return better | (equal & (jnp.cumsum(equal, axis=-1) <= left))


def _least_by_rank(scores: jax.Array, count: int) -> jax.Array:
    """The score [..., 1] that is the `count`-th best."""
    return jax.lax.top_k(scores, count)[0][..., -1:]


def _least_by_bits(scores: jax.Array, count: int) -> jax.Array:
    """The same, bit by bit of float32 from the highest: a processor counts faster than it sorts, a sixth of the time."""
    bits = jax.lax.bitcast_convert_type(scores, jnp.uint32)
    # As unsigned numbers these are in the order of the scores.
    ordered = jnp.where(bits >> 31 == 1, ~bits, bits | _SIGN)

    def more(number: jax.Array, least: jax.Array) -> jax.Array:
        tried = least | (_SIGN >> number.astype(jnp.uint32))
        enough = jnp.sum(ordered >= tried, axis=-1, keepdims=True) >= count
        return jnp.where(enough, tried, least)

    least = jax.lax.fori_loop(0, 32, more, jnp.zeros((*scores.shape[:-1], 1), jnp.uint32))
    return jax.lax.bitcast_convert_type(jnp.where(least >> 31 == 1, least ^ _SIGN, ~least), jnp.float32)
