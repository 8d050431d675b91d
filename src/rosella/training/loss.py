"""The loss: what a researcher edits to try another objective. Axes: B rows, L steps, C codebooks, V ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from rosella import delay
from rosella.model.config import DecoderConfig
from rosella.model.sharding import along_rows, shards

PIECE = 2**28
"""Bytes of the float32 logits that a device holds at once, at most."""

Sums = tuple[jax.Array, jax.Array, jax.Array]
"""Per codebook [C], float32: summed cross-entropy, the number of ids it is over, and how many of them were the likeliest."""


def default_codebook_weights(codebooks: int) -> list[float]:
    """`[4, 1, 1, ...]`, as Dia was trained: the first codebook carries the words."""
    return [4.0] + [1.0] * (codebooks - 1)


def measure(
    logits_of: Callable[[jax.Array], jax.Array],
    states: jax.Array,
    targets: jax.Array,
    decoder: DecoderConfig,
    weights: jax.Array | None = None,
) -> Sums:
    """`codebook_sums` and `codebook_hits` of the logits that `logits_of` makes of decoder states [B, L, D].

    Of more than `PIECE` bytes they are made for some steps at a time, and once more on the way back: neither they nor their
    gradients ever lie in memory as a whole.
    """

    def of(states: jax.Array, targets: jax.Array, weights: jax.Array | None) -> Sums:
        logits = logits_of(states)
        sums, counts = codebook_sums(logits, targets, decoder, weights)
        return sums, counts, codebook_hits(logits, targets, decoder, weights)

    pieces = _pieces(targets, decoder)
    if pieces == 1:
        return of(states, targets, weights)

    def add(total: Sums, piece: Any) -> tuple[Sums, None]:
        states, targets, weights = piece
        return jax.tree.map(jnp.add, total, of(along_rows(states), targets, weights)), None

    cut = partial(_cut, pieces)
    cuts = cut(states), cut(targets, decoder.pad_token_id), jax.tree.map(cut, weights)
    none = jnp.zeros(decoder.num_channels)
    return jax.lax.scan(jax.checkpoint(add), (none, none, none), cuts)[0]


def _pieces(targets: jax.Array, decoder: DecoderConfig) -> int:
    """In how many pieces the logits for targets [B, L, C] are made."""
    return -(-targets.size * decoder.vocab_size * 4 // (shards()[0] * PIECE))


def _cut(pieces: int, of_steps: jax.Array, fill: int = 0) -> jax.Array:
    """[B, L, ...] as [pieces, B, steps of a piece, ...], the last one filled up."""
    shape = of_steps.shape
    more = [(0, 0), (0, -shape[1] % pieces)] + [(0, 0)] * (len(shape) - 2)
    filled = jnp.pad(of_steps, more, constant_values=fill)
    return jnp.moveaxis(filled.reshape(shape[0], pieces, -1, *shape[2:]), 1, 0)


def codebook_sums(
    logits: jax.Array, targets: jax.Array, decoder: DecoderConfig, weights: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Per codebook, the summed cross-entropy (nats) and the number of ids it is over, both float32 [C].

    `logits` [B, L, C, V], `targets` [B, L, C]; codes and ends count, padding and beginnings do not. A step counts as
    much as its `weights` [B, L] say, in both sums.
    """
    counted, much = _counted(targets, decoder, weights)
    logits = logits.astype(jnp.float32)
    chosen = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    losses = jax.nn.logsumexp(logits, axis=-1) - chosen
    return jnp.where(counted, losses * much, 0).sum((0, 1)), much.sum((0, 1))


def codebook_counts(
    targets: jax.Array, decoder: DecoderConfig, weights: jax.Array | None = None
) -> jax.Array:
    """The second of `codebook_sums`, which needs no logits."""
    return _counted(targets, decoder, weights)[1].sum((0, 1))


def codebook_hits(
    logits: jax.Array, targets: jax.Array, decoder: DecoderConfig, weights: jax.Array | None = None
) -> jax.Array:
    """Per codebook [C], how many of the ids that `codebook_sums` counts were the likeliest, weighted as there.

    A maximum is needed for the loss anyway, and an arg-max is several times dearer.
    """
    _, much = _counted(targets, decoder, weights)
    chosen = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return jnp.where(chosen >= logits.max(axis=-1), much, 0).sum((0, 1))


def combine(codebook_losses: jax.Array, weights: Sequence[float] | None) -> jax.Array:
    """The scalar to minimise: the mean over codebooks, weighted by `weights` normalised to sum 1."""
    chosen = jnp.asarray(weights or default_codebook_weights(len(codebook_losses)), jnp.float32)
    return (codebook_losses * chosen / chosen.sum()).sum()


def _counted(
    targets: jax.Array, decoder: DecoderConfig, weights: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """Which ids count, and how much, [B, L, C]."""
    counted = delay.learnable(targets, decoder.bos_token_id, decoder.pad_token_id)
    return counted, counted.astype(jnp.float32) * (1.0 if weights is None else weights[..., None])
