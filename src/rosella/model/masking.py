"""Who may see whom in an attention: said once, for whatever computes it.

Axes: B batch, T query steps, S key steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp

HIDDEN = -1e30
"""What is added to the score of a key that a query may not see."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Mask:
    """A query sees every key, but for what is said here.

    With `causal` none that comes later; with `lengths` [B] only so many, the first; with `queries` [B, T] and `keys`
    [B, S], the segments that these belong to, only those of its own segment. Besides, a `bias` float32 [B or 1, N or 1,
    T or 1, S], which may be another for each head, is added to the scores; no gradient reaches it.
    """

    causal: bool = field(default=False, metadata={"static": True})
    lengths: jax.Array | None = None
    queries: jax.Array | None = None
    keys: jax.Array | None = None
    bias: jax.Array | None = None

    def biased(self, bias: jax.Array) -> Mask:
        """The same, with one more bias."""
        return replace(self, bias=bias if self.bias is None else self.bias + bias)

    def segments(self, batch: int, steps: int, keys: int) -> tuple[jax.Array, jax.Array]:
        """Numbers [B, T] and [B, S], which are equal where neither lengths nor segments hide a key from a query."""
        if self.queries is not None and self.keys is not None:
            return self.queries, self.keys
        lengths = jnp.full(batch, keys) if self.lengths is None else self.lengths
        behind = jnp.arange(keys) >= lengths[:, None]
        return jnp.zeros((batch, steps), jnp.int32), behind.astype(jnp.int32)

    def additive(self, steps: int, keys: int) -> jax.Array:
        """All of it as one bias [B or 1, N or 1, T or 1, S or 1], 0 where a query may look."""
        bias = jnp.zeros((1, 1, 1, 1)) if self.bias is None else self.bias
        every = jnp.arange(keys)
        if self.causal:
            bias = bias + _hiding(every <= jnp.arange(steps)[:, None])[None, None]
        if self.lengths is not None:
            bias = bias + _hiding(every < self.lengths[:, None])[:, None, None]
        if self.queries is not None and self.keys is not None:
            bias = bias + _hiding(self.queries[:, :, None] == self.keys[:, None, :])[:, None]
        return bias


def blocks(clean: jax.Array, noisy: jax.Array, size: int) -> jax.Array:
    """The bias [B or 1, 1, T + N, T + N] of block diffusion (BD3-LM, arXiv 2503.09573), 0 where a step may look.

    Of the places [B or 1, T] and [B or 1, N] in their utterance that known steps, and behind them those of blocks of so
    many, stand at. A known step sees known ones up to itself; one of a block those before the block, and all of its block.
    """
    places, block = jnp.concatenate([clean, noisy], 1), noisy // size
    known = jnp.arange(places.shape[1]) < clean.shape[1]
    last = jnp.concatenate([clean, block * size - 1], 1)  # the last known step that each may see
    own = jnp.concatenate([jnp.full_like(clean, -1), block], 1)
    before = known & (places[:, None, :] <= last[:, :, None])
    within = ~known[:, None] & ~known & (own[:, None, :] == own[:, :, None])
    return _hiding(before | within)[:, None]


def _hiding(seen: jax.Array) -> jax.Array:
    return jnp.where(seen, 0.0, HIDDEN)
