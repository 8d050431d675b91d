"""What is minimised: the one file to change for another objective. Axes: B rows, L decoder steps, C codebooks."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from rosella import delay, dialogue
from rosella.model.config import DecoderConfig, DiaConfig
from rosella.model.transformer import Dia
from rosella.training.alignment import diagonal_bias
from rosella.training.batches import Batch
from rosella.training.loss import codebook_counts, codebook_sums, combine
from rosella.training.recipe import Recipe


def drop(
    batch: Batch, key: jax.Array, recipe: Recipe, decoder: DecoderConfig
) -> tuple[Batch, dict[str, jax.Array]]:
    """The batch without what `key` hides of it, and what of it is logged.

    What is hidden of a row follows from its number, so that empty rows behind it change nothing.
    """
    text_ids, dropped = drop_text(batch.text_ids, key, recipe.text_dropout)
    tokens = drop_frames(batch.tokens, jax.random.fold_in(key, 1), recipe.frame_dropout, decoder.pad_token_id)
    counted = delay.learnable(batch.targets[..., 0], decoder.bos_token_id, decoder.pad_token_id)
    rows = counted.any(1)
    measured = {"frames": counted.sum(), "text_dropped": (dropped & rows).sum() / rows.sum()}
    return batch._replace(text_ids=text_ids, tokens=tokens), measured


def count(batch: Batch, decoder: DecoderConfig) -> jax.Array:
    """What the loss of a batch is the mean over: the weighted number of ids per codebook [C]."""
    return codebook_counts(batch.targets, decoder, batch.weights)


def learn(
    model: Dia, batch: Batch, counts: jax.Array, step: jax.Array, recipe: Recipe
) -> tuple[jax.Array, jax.Array]:
    """The loss of a batch, or the share of some of its rows, and the losses per codebook [C]; `counts` of all of it."""
    text = model.encode(batch.text_ids, batch.text_lengths)
    prior = _alignment_prior(batch, step, model.config, recipe.alignment_prior)
    logits = model.logits(model.decode(batch.tokens, text._replace(bias=text.bias + prior)))
    sums, _ = codebook_sums(logits, batch.targets, model.config.decoder, batch.weights)
    losses = sums / jnp.maximum(counts, 1e-6)
    return combine(losses, recipe.codebook_weights), losses


def evaluate(model: Dia, batch: Batch) -> tuple[jax.Array, jax.Array]:
    """Summed loss and count per codebook [C], nothing dropped."""
    logits = model(batch.text_ids, batch.text_lengths, batch.tokens)
    return codebook_sums(logits, batch.targets, model.config.decoder)


def drop_text(text_ids: jax.Array, key: jax.Array, share: float) -> tuple[jax.Array, jax.Array]:
    """Zero the ids of a random share of the rows [B, S]; their lengths stay, as in guidance's unconditional branch.

    Returns the ids and which rows were dropped [B].
    """
    dropped = jax.random.bernoulli(key, share, text_ids.shape[:1])
    return jnp.where(dropped[:, None], dialogue.PADDING, text_ids), dropped


def drop_frames(tokens: jax.Array, key: jax.Array, share: float, pad: int) -> jax.Array:
    """Hide a share of the decoder's input steps `[B, L, C]` behind padding ids; the first, the beginning, stays.

    Frames of speech foretell the next so well that a model can lower its loss for long without reading the text;
    hiding most of them makes it read (as the dropout in the pre-net of Tacotron does, arXiv 1703.10135).
    """
    hidden = jax.random.bernoulli(key, share, tokens.shape[:2]).at[:, 0].set(False)
    return jnp.where(hidden[..., None], pad, tokens)


def _alignment_prior(batch: Batch, step: jax.Array, config: DiaConfig, fading: int) -> jax.Array:
    """The bias on cross-attention in this step; it fades to none within `fading` steps."""
    if not fading:
        return jnp.zeros((1, 1, 1, 1))
    frames = (batch.targets[..., 0] < config.decoder.eos_token_id).sum(1)
    strength = jnp.maximum(1 - step / fading, 0)
    return diagonal_bias(batch.text_lengths, frames, batch.text_ids.shape[1], batch.tokens.shape[1], strength)
