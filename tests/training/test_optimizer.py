from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rosella.config import OptimizerRecipe
from rosella.training.optimizer import clip, make_optimizer, make_schedule


def rates(steps=100, **values):
    schedule = make_schedule(OptimizerRecipe(lr=2.0, **values), steps)
    return np.asarray(jax.vmap(schedule)(jnp.arange(steps)))


def test_every_schedule_warms_up_from_one_step_to_the_peak():
    for schedule in ("cosine", "constant", "wsd"):
        np.testing.assert_allclose(
            rates(schedule=schedule, warmup=10)[:11], [*np.arange(1, 11) / 5, 2.0], rtol=1e-6
        )
    assert rates(schedule="constant")[0] == 2.0


def test_cosine_falls_once_to_its_final_share():
    curve = rates(schedule="cosine", warmup=20, final_share=0.1)
    assert (np.diff(curve[20:]) < 0).all()
    assert curve[60] == pytest.approx(2.0 * 0.55)
    assert curve[99] == pytest.approx(0.2, rel=0.01)


def test_wsd_stays_then_falls_in_a_line():
    curve = rates(schedule="wsd", warmup=10, decay=20)
    assert (curve[10:81] == 2.0).all()
    assert curve[90] == pytest.approx(1.0)
    assert curve[99] == pytest.approx(0.1)


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
