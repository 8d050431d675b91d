from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from rosella.training import objective
from rosella.training.batches import Batch
from training import tiny


def test_dropped_text_is_zeroed_and_the_share_is_right():
    ids, lengths = np.full((2000, 5), 7, np.int32), np.full((2000, 1), 5)
    result, dropped = objective.drop_text(ids, lengths, jax.random.key(0), 0.2)
    np.testing.assert_array_equal(np.asarray(result), np.where(np.asarray(dropped), 0, ids))
    assert 0.17 < dropped.mean() < 0.23
    assert not objective.drop_text(ids, lengths, jax.random.key(0), 0.0)[1].any()


def test_hidden_steps_are_padding_in_every_codebook_and_the_beginning_stays():
    tokens, steps = jnp.ones((4, 200, 3), jnp.int32), jnp.full((4, 1), 200)
    hidden = np.asarray(objective.drop_frames(tokens, steps, jax.random.key(0), 0.5, 7))
    assert (hidden[:, 0] == 1).all()
    assert ((hidden == 7).all(-1) | (hidden == 1).all(-1)).all()
    assert 0.4 < (hidden[:, 1:, 0] == 7).mean() < 0.6
    np.testing.assert_array_equal(objective.drop_frames(tokens, steps, jax.random.key(0), 0.0, 7), tokens)


def test_with_blocks_frames_are_hidden_of_what_is_known_alone():
    tokens = np.random.default_rng(0).integers(0, 16, (2, 40, 3))
    one = np.ones((2, 1), np.int32)
    batch = Batch(np.ones((2, 12), np.int32), 12 * one, tokens, tokens, 40 * one, 1.0 * one)
    recipe = tiny.recipe(
        "x", objective="blocks", frame_dropout=0.9, blocks={"size": 4, "noise": [1e-6, 1e-6]}
    )
    noisy, _ = objective.drop(batch, jax.random.key(0), recipe, tiny.config().decoder)
    pad = tiny.config().decoder.pad_token_id
    assert (np.asarray(noisy.batch.tokens) == pad).mean() > 0.8
    np.testing.assert_array_equal(noisy.ids, tokens)


def test_what_is_dropped_of_a_row_does_not_depend_on_the_rows_behind_it():
    """Batches are completed with empty rows, more or fewer of them on other devices."""
    random = np.random.default_rng(0)
    recipe = tiny.recipe("x", text_dropout=0.5, frame_dropout=0.5)
    tokens = random.integers(0, 16, (6, 20, 3))
    one = np.ones((6, 1), np.int32)
    batch = Batch(random.integers(1, 99, (6, 12)), 12 * one, tokens, tokens, 20 * one, 1.0 * one)
    pad = tiny.config().decoder.pad_token_id
    longer = jax.tree.map(lambda leaf: np.pad(leaf, [(0, 10)] + [(0, 0)] * (leaf.ndim - 1)), batch)
    longer.targets[6:] = pad
    (found, measured), (wanted, expected) = (
        objective.drop(each, jax.random.key(3), recipe, tiny.config().decoder) for each in (longer, batch)
    )
    np.testing.assert_array_equal(found.text_ids[:6], wanted.text_ids)
    np.testing.assert_array_equal(found.tokens[:6], wanted.tokens)
    assert (np.asarray(wanted.tokens) == pad).any() and 0 < float(expected["text_dropped"]) < 1
    assert {name: float(value) for name, value in measured.items()} == {
        name: float(value) for name, value in expected.items()
    }
