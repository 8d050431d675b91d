"""Speech that keeps its place: heads that read along see the text only around the byte that is being said.

A decoder finds its place by what stands there, and jumps where words occur twice. Deep Voice 3 (arXiv 1710.07654) lets
attention look only around where it looked last. Here that holds for the heads of `DiaConfig.readers`, and where they
are is followed as in `reading`, of which these are the steps.

Axes: B texts, N heads, T steps, S text bytes.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rosella.inference.reading import AHEAD, BACK, LEAST, READERS, STRIDE
from rosella.model.attention import Attention
from rosella.model.config import DiaConfig
from rosella.model.masking import HIDDEN, Mask


def looks(queries: jax.Array, keys: jax.Array, mask: Mask) -> jax.Array:
    """What heads look at [B, N, T, S], of as many queries as keys."""
    scores = jnp.einsum("BNTH,BNSH->BNTS", queries, keys)
    return jax.nn.softmax(scores + mask.additive(queries.shape[2], keys.shape[2]), axis=-1)


def start(said: np.ndarray, width: int) -> jax.Array:
    """Where texts of so many bytes are read whose first `said` [B] are said: log-likelihoods float32 [B, S]."""
    last = jnp.maximum(jnp.asarray(said) - 1, 0)
    return jnp.where(jnp.arange(width) == last[:, None], 0.0, -jnp.inf)


class Steady:
    """Reads the texts for one layer after another (`transformer.Read`), and notes where its heads look meanwhile."""

    def __init__(self, config: DiaConfig, places: jax.Array) -> None:
        """`places` [B, S] are those of the step before."""
        self._readers, self._believed = config.readers, set(config.readers[:READERS])
        self._places, self._layer, self._heard = places, 0, list[jax.Array]()

    def __call__(
        self,
        attention: Attention,
        queries: jax.Array,
        keys: jax.Array,
        values: jax.Array,
        mask: Mask,
        known: jax.Array | None,
    ) -> jax.Array:
        heads, shared = range(queries.shape[1]), queries.shape[1] // keys.shape[1]
        believed = [head for head in heads if (self._layer, head) in self._believed]
        bound = np.array([(self._layer, head) in self._readers for head in heads])
        if bound.any():
            hidden = self._hidden(mask, queries.shape[2])
            if believed:
                theirs = keys[:, np.array(believed) // shared]
                self._heard.append(looks(queries[:, np.array(believed)], theirs, mask.biased(hidden)))
            mask = mask.biased(jnp.where(bound[:, None, None], hidden, 0.0))
        self._layer += 1
        return attention.output(queries, keys, values, mask, known)

    def places(self) -> jax.Array:
        """Log-likelihoods [B, S] behind the steps that were read: of the best way to each byte, the best being 0."""
        heard = jnp.concatenate(self._heard, 1).mean(1)
        places, _ = jax.lax.scan(
            lambda places, look: (_gone_on(places, look), None), self._places, heard.swapaxes(0, 1)
        )
        return places

    def _hidden(self, mask: Mask, steps: int) -> jax.Array:
        """The bias [B, 1, 1, S] that leaves what is near, for so many steps at once, but no key that stands for padding."""
        width = self._places.shape[1]
        off = jnp.arange(width) - jnp.argmax(self._places, axis=1)[:, None]
        near = (off >= -BACK) & (off < AHEAD + steps)
        return jnp.where(near[:, None, None] & (mask.additive(1, width) == 0), 0.0, HIDDEN)


def _gone_on(places: jax.Array, look: jax.Array) -> jax.Array:
    """Places [B, S] a step later, in which heads look at [B, S]."""
    came = places
    for by in range(1, STRIDE + 1):
        before: Any = jnp.pad(places, ((0, 0), (by, 0)), constant_values=-jnp.inf)
        came = jnp.maximum(came, before[:, :-by])
    gone = came + jnp.log(look + LEAST)
    return gone - gone.max(axis=1, keepdims=True)
