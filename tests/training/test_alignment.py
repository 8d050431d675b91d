"""What makes an untrained model read: hidden frames and a fading diagonal."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from rosella.training.alignment import diagonal_bias
from rosella.training.batches import drop_frames


def test_the_prior_points_along_each_rows_own_diagonal():
    bias = diagonal_bias(jnp.array([10, 20]), jnp.array([100, 50]), 24, 120, jnp.float32(1))
    assert bias.shape == (2, 1, 120, 24)
    nearest = np.asarray(bias[:, 0]).argmax(-1)
    np.testing.assert_array_equal(nearest[0, [5, 45, 95]], [0, 4, 9])
    np.testing.assert_array_equal(nearest[1, [1, 25, 48]], [0, 9, 19])
    assert float(bias.max()) <= 0


def test_a_faded_prior_is_none():
    assert not np.any(diagonal_bias(jnp.array([10]), jnp.array([100]), 10, 100, jnp.float32(0)))


def test_hidden_steps_are_padding_in_every_codebook_and_the_beginning_stays():
    tokens = jnp.ones((4, 200, 3), jnp.int32)
    hidden = np.asarray(drop_frames(tokens, jax.random.key(0), 0.5, 7))
    assert (hidden[:, 0] == 1).all()
    assert ((hidden == 7).all(-1) | (hidden == 1).all(-1)).all()
    assert 0.4 < (hidden[:, 1:, 0] == 7).mean() < 0.6
    np.testing.assert_array_equal(drop_frames(tokens, jax.random.key(0), 0.0, 7), tokens)
