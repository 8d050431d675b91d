"""What makes an untrained model read: a fading diagonal."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from rosella.training.alignment import diagonal_bias


def test_the_prior_points_along_each_rows_own_diagonal():
    at_text = (jnp.arange(24) + 0.5) / jnp.array([[10], [20]])
    at_step = jnp.arange(120) / jnp.array([[100], [50]])
    bias = diagonal_bias(at_text, at_step, jnp.float32(1))
    assert bias.shape == (2, 1, 120, 24)
    nearest = np.asarray(bias[:, 0]).argmax(-1)
    np.testing.assert_array_equal(nearest[0, [5, 45, 95]], [0, 4, 9])
    np.testing.assert_array_equal(nearest[1, [1, 25, 48]], [0, 9, 19])
    assert float(bias.max()) <= 0


def test_a_faded_prior_is_none():
    assert not np.any(diagonal_bias(jnp.ones((1, 10)), jnp.zeros((1, 100)), jnp.float32(0)))
