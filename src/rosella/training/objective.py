"""What is minimised: the one file to change for another objective.

Axes: B rows, P places for utterances in a row, S text bytes, L decoder steps, C codebooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp

from rosella import delay, dialogue
from rosella.model import packing
from rosella.model.config import DecoderConfig, DiaConfig
from rosella.model.transformer import Dia
from rosella.training import blocks
from rosella.training.alignment import diagonal_bias
from rosella.training.batches import Batch
from rosella.training.blocks import Blocks, Noisy
from rosella.training.loss import Sums, codebook_counts, combine, measure
from rosella.training.recipe import Recipe

Counts = dict[str, jax.Array]
"""Per codebook [C], of what is learnt and, with blocks, of what the known steps tell besides (`ar_`)."""
Examined = Batch | tuple[Noisy, Noisy]


def drop(
    batch: Batch, key: jax.Array, recipe: Recipe, decoder: DecoderConfig
) -> tuple[Batch | Noisy, dict[str, jax.Array]]:
    """The batch without what `key` hides of it, and what of it is logged.

    What is hidden of a row follows from its number, so that empty rows behind it change nothing.
    """
    text_ids, dropped = drop_text(batch.text_ids, batch.text_lengths, key, recipe.text_dropout)
    of_frames, of_blocks, pad = jax.random.fold_in(key, 1), jax.random.fold_in(key, 2), decoder.pad_token_id
    tokens = drop_frames(batch.tokens, batch.steps, of_frames, recipe.frame_dropout, pad)
    counted, there = delay.learnable(batch.targets[..., 0], decoder.bos_token_id, pad), batch.steps > 0
    measured = {"frames": counted.sum(), "text_dropped": (dropped & there).sum() / there.sum()}
    shown = batch._replace(text_ids=text_ids, tokens=tokens)
    if recipe.objective == "ar":
        return shown, measured
    noisy = blocks.hide(batch, of_blocks, recipe.blocks.size, recipe.blocks.noise, decoder)
    return noisy._replace(batch=shown), measured


def count(given: Batch | Noisy, recipe: Recipe, decoder: DecoderConfig) -> Counts:
    """What the losses of a batch are the mean over: the weighted number of ids per codebook [C]."""
    if isinstance(given, Batch):
        return {"": codebook_counts(given.targets, decoder, _step_weights(given))}
    laid = blocks.lay_out(given, recipe.blocks.size, decoder)
    known = codebook_counts(given.batch.targets, decoder, _step_weights(given.batch))
    return {"": codebook_counts(laid.targets, decoder, laid.weights), "ar_": known}


def learn(
    model: Dia, given: Batch | Noisy, counts: Counts, step: jax.Array, recipe: Recipe
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """What is minimised of a batch, or the share of some of its rows, and its `figures`; `counts` of all of it."""
    if isinstance(given, Batch):
        prior = _alignment_prior(given, step, model.config, recipe.alignment_prior)
        sums = {"": _sums(model, given, _step_weights(given), prior)}
    else:
        laid = blocks.lay_out(given, recipe.blocks.size, model.config.decoder)
        sums = _sums_in_blocks(model, given.batch, laid, recipe, laid.weights, _step_weights(given.batch))
    found = figures({name: (lost, counts[name], hits) for name, (lost, _, hits) in sums.items()}, recipe)
    return found["loss"] + recipe.blocks.ar_weight * found.get("ar_loss", 0.0), found


def examined(batch: Batch, recipe: Recipe, decoder: DecoderConfig) -> Examined:
    """What is evaluated of a batch, nothing dropped: the batch, or its blocks in the recipe's noise and in that of a bound.

    The noise is the same every time.
    """
    if recipe.objective == "ar":
        return batch
    size, (loss, bound) = recipe.blocks.size, jax.random.split(jax.random.key(0))
    return (
        blocks.hide(batch, loss, size, recipe.blocks.noise, decoder),
        blocks.hide(batch, bound, size, blocks.BOUND, decoder),
    )


def evaluate(model: Dia, given: Examined, recipe: Recipe) -> dict[str, Sums]:
    """Summed loss, count and hits per codebook [C]; with blocks also those of the known steps (`ar_`), and an upper bound
    of the loss of all ids (`elbo_`): minus the evidence's lower bound, for ids told in any order.
    """
    if isinstance(given, Batch):
        return {"": _sums(model, given)}
    decoder, size = model.config.decoder, recipe.blocks.size
    (of_loss, of_bound), (loss, bound) = given, (blocks.lay_out(each, size, decoder) for each in given)
    sums = _sums_in_blocks(model, of_loss.batch, loss, recipe)
    lost, _, hits = _sums_in_blocks(model, of_bound.batch, bound, recipe, blocks.bound_weights(bound))[""]
    return sums | {"elbo_": (lost, sums["ar_"][1], hits)}


def figures(sums: Mapping[str, Sums], recipe: Recipe) -> dict[str, jax.Array]:
    """What is told of sums of the training or the validation, by the names of `measures`."""
    found = dict[str, jax.Array]()
    for name, (lost, counts, _) in sums.items():
        losses = lost / jnp.maximum(counts, 1e-6)
        found |= {f"{name}loss": combine(losses, recipe.codebook_weights), f"{name}codebook_losses": losses}
    _, counts, hits = sums[""]
    shares = hits.sum() / jnp.maximum(counts.sum(), 1e-6), hits / jnp.maximum(counts, 1e-6)
    return found | {"accuracy": shares[0], "codebook_accuracies": shares[1]}


def _sums(model: Dia, batch: Batch, weights: jax.Array | None = None, prior: jax.Array | None = None) -> Sums:
    text = model.encode(batch.text_ids, batch.text_lengths)
    if prior is not None:
        text = text._replace(mask=text.mask.biased(prior))
    states = model.decode(batch.tokens, text, batch.steps)
    return measure(model.logits, states, batch.targets, model.config.decoder, weights)


def _sums_in_blocks(
    model: Dia,
    batch: Batch,
    laid: Blocks,
    recipe: Recipe,
    weights: jax.Array | None = None,
    ar_weights: jax.Array | None = None,
) -> dict[str, Sums]:
    """Of what the blocks tell of hidden ids, and (`ar_`) of what the known steps tell of the next."""
    text = model.encode(batch.text_ids, batch.text_lengths)
    known, hidden = model.decode_blocks(batch.tokens, laid.ids, text, batch.steps, recipe.blocks.size)
    of = partial(measure, model.logits, decoder=model.config.decoder)
    return {
        "": of(hidden, laid.targets, weights=weights),
        "ar_": of(known, batch.targets, weights=ar_weights),
    }


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


def _alignment_prior(batch: Batch, step: jax.Array, config: DiaConfig, fading: int) -> jax.Array | None:
    """The bias on cross-attention in this step; it fades to none within `fading` steps."""
    if not fading:
        return None
    text = packing.of(batch.text_lengths, batch.text_ids.shape[1])
    sequence = packing.of(batch.steps, batch.tokens.shape[1])
    frames = jnp.maximum(batch.steps - config.steps(0), 1)
    at_text = (text.places + 0.5) / jnp.maximum(text.spread(batch.text_lengths), 1)
    at_step = sequence.places / jnp.maximum(sequence.spread(frames), 1)
    return diagonal_bias(at_text, at_step, jnp.maximum(1 - step / fading, 0))
