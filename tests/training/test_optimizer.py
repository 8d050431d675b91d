from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rosella.recipes import OptimizerRecipe
from rosella.training.optimizer import clip, make_optimizer


def test_one_step_is_adamw_and_norms_do_not_decay():
    params = {"layers.query": jnp.ones((2, 2)), "self_norm.scale": jnp.ones(2)}
    gradients = jax.tree.map(lambda p: 0.3 * p, params)
    optimizer = make_optimizer(OptimizerRecipe(weight_decay=0.1, b1=0.9, b2=0.98))
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
