"""What is minimised: the one file to change for another objective.

Axes: B rows, P places for utterances in a row, S text bytes, L decoder steps, C codebooks.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from rosella import delay, dialogue
from rosella.model import packing
from rosella.model.config import DecoderConfig, DiaConfig
from rosella.model.transformer import Dia
from rosella.training.alignment import diagonal_bias
from rosella.training.batches import Batch
from rosella.training.loss import codebook_counts, combine, measure
from rosella.training.recipe import Recipe


def drop(
    batch: Batch, key: jax.Array, recipe: Recipe, decoder: DecoderConfig
) -> tuple[Batch, dict[str, jax.Array]]:
    """The batch without what `key` hides of it, and what of it is logged.

    What is hidden of a row follows from its number, so that empty rows behind it change nothing.
    """
    text_ids, dropped = drop_text(batch.text_ids, batch.text_lengths, key, recipe.text_dropout)
    key, pad = jax.random.fold_in(key, 1), decoder.pad_token_id
    tokens = drop_frames(batch.tokens, batch.steps, key, recipe.frame_dropout, pad)
    counted, there = delay.learnable(batch.targets[..., 0], decoder.bos_token_id, pad), batch.steps > 0
    measured = {"frames": counted.sum(), "text_dropped": (dropped & there).sum() / there.sum()}
    return batch._replace(text_ids=text_ids, tokens=tokens), measured


def count(batch: Batch, decoder: DecoderConfig) -> jax.Array:
    """What the loss of a batch is the mean over: the weighted number of ids per codebook [C]."""
    return codebook_counts(batch.targets, decoder, _step_weights(batch))


def learn(
    model: Dia, batch: Batch, counts: jax.Array, step: jax.Array, recipe: Recipe
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The loss of a batch, or the share of some of its rows, and losses and hits per codebook [C]; `counts` of all of it."""
    text = model.encode(batch.text_ids, batch.text_lengths)
    if recipe.alignment_prior:
        prior = _alignment_prior(batch, step, model.config, recipe.alignment_prior)
        text = text._replace(mask=text.mask.biased(prior))
    states = model.decode(batch.tokens, text, batch.steps)
    weights = _step_weights(batch)
    sums, _, hits = measure(model.logits, states, batch.targets, model.config.decoder, weights)
    losses = sums / jnp.maximum(counts, 1e-6)
    return combine(losses, recipe.codebook_weights), {"codebook_losses": losses, "hits": hits}


def evaluate(model: Dia, batch: Batch) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Summed loss, count and hits per codebook [C], nothing dropped."""
    text = model.encode(batch.text_ids, batch.text_lengths)
    states = model.decode(batch.tokens, text, batch.steps)
    return measure(model.logits, states, batch.targets, model.config.decoder)


def drop_text(
    text_ids: jax.Array, lengths: jax.Array, key: jax.Array, share: float
) -> tuple[jax.Array, jax.Array]:
    """Zero the ids [B, S] of a random share of the utterances; their lengths [B, P] stay, as in guidance's
    unconditional branch. Returns the ids and which utterances were dropped [B, P].
    """
    dropped = jax.random.bernoulli(key, share, lengths.shape)
    zeroed = packing.of(lengths, text_ids.shape[1]).spread(dropped)
    return jnp.where(zeroed, dialogue.PADDING, text_ids), dropped


def drop_frames(tokens: jax.Array, steps: jax.Array, key: jax.Array, share: float, pad: int) -> jax.Array:
    """Hide a share of the decoder's input steps [B, L, C] behind padding ids; the first of an utterance stays.

    Frames of speech foretell the next so well that a model can lower its loss for long without reading the text;
    hiding most of them makes it read (as the dropout in the pre-net of Tacotron does, arXiv 1703.10135).
    """
    hidden = jax.random.bernoulli(key, share, tokens.shape[:2])
    hidden &= packing.of(steps, tokens.shape[1]).places > 0
    return jnp.where(hidden[..., None], pad, tokens)


def _step_weights(batch: Batch) -> jax.Array:
    """How much each step counts [B, L]."""
    return packing.of(batch.steps, batch.tokens.shape[1]).spread(batch.weights)


def _alignment_prior(batch: Batch, step: jax.Array, config: DiaConfig, fading: int) -> jax.Array:
    """The bias on cross-attention in this step; it fades to none within `fading` steps."""
    text = packing.of(batch.text_lengths, batch.text_ids.shape[1])
    sequence = packing.of(batch.steps, batch.tokens.shape[1])
    frames = jnp.maximum(batch.steps - config.steps(0), 1)
    at_text = (text.places + 0.5) / jnp.maximum(text.spread(batch.text_lengths), 1)
    at_step = sequence.places / jnp.maximum(sequence.spread(frames), 1)
    return diagonal_bias(at_text, at_step, jnp.maximum(1 - step / fading, 0))
