from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rosella.training.optimizer import clip, make_optimizer
from rosella.training.recipe import SpeakingOptimizer


def test_one_step_is_adamw_and_norms_do_not_decay():
    params = {"layers.query": jnp.ones((2, 2)), "self_norm.scale": jnp.ones(2)}
    gradients = jax.tree.map(lambda p: 0.3 * p, params)
    optimizer = make_optimizer(SpeakingOptimizer(weight_decay=0.1, b1=0.9, b2=0.98))
    updates, _ = optimizer.update(gradients, optimizer.init(params), params)
    for name, decay in (("layers.query", 0.1), ("self_norm.scale", 0.0)):
        reference = optax.adamw(1.0, 0.9, 0.98, weight_decay=decay)
        expected, _ = reference.update(gradients[name], reference.init(params[name]), params[name])
        np.testing.assert_allclose(-updates[name], expected, rtol=1e-6)


def test_gradients_are_clipped_to_the_norm_that_is_reported():
    gradients = {"a": jnp.array([3.0]), "b": jnp.array([4.0])}
    clipped, norm = clip(gradients, 1.0)
    assert norm == pytest.approx(5.0) and optax.tree.norm(clipped) == pytest.approx(1.0)
    same, _ = clip(gradients, 10.0)
    assert same == gradients


def test_adafactor_is_that_of_optax_and_keeps_rows_and_columns():
    params = {"layers.query": jnp.ones((3, 128, 256)), "self_norm.scale": jnp.ones(2)}
    gradients = jax.tree.map(lambda p: 0.3 * jnp.cumsum(p, -1), params)
    optimizer = make_optimizer(SpeakingOptimizer(kind="adafactor", weight_decay=0.1))
    state = optimizer.init(params)
    assert max(leaf.size for leaf in jax.tree.leaves(state)) == 3 * 256
    updates, _ = optimizer.update(gradients, state, params)
    for name, decay in (("layers.query", 0.1), ("self_norm.scale", 0.0)):
        reference = optax.adafactor(1.0, multiply_by_parameter_scale=False, weight_decay_rate=decay)
        expected, _ = reference.update(gradients[name], reference.init(params[name]), params[name])
        np.testing.assert_allclose(-updates[name], expected, rtol=1e-5)


def test_what_means_nothing_to_adafactor_is_refused():
    with pytest.raises(ValueError, match=r"b1 and optimizer\.b2 are AdamW's and mean nothing to adafactor"):
        SpeakingOptimizer(kind="adafactor", b1=0.8)
