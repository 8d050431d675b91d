from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from rosella.model.sharding import make_mesh
from rosella.training import batches, loop, order
from rosella.training.optimizer import make_optimizer
from rosella.training.state import Skeleton, fresh_state
from training import tiny

ROOT = Path(__file__).parents[2]


def step_and_batch(export, **changes):
    recipe = tiny.recipe(export.directory, **changes)
    skeleton, params = Skeleton.of(tiny.model())
    splits = [order.read_split(export, recipe.data, name) for name in ("train", "validation")]
    plan = order.plan_training(splits[0], order.choose_buckets(splits, recipe.data), recipe.data, 1, 0)
    batch = batches.assemble(batches.codes_reader(export, splits[0]), splits[0], tiny.config(), plan[0])
    step = loop.make_step(skeleton, recipe, make_mesh(1, 1, 1))
    return step, fresh_state(params, make_optimizer(recipe.optimizer), 0), batch


def test_a_step_that_is_not_finite_changes_only_the_counters(export):
    step, state, batch = step_and_batch(export)
    broken = state._replace(params={**state.params, "decoder.norm.scale": jnp.full(24, jnp.inf, jnp.float32)})
    before = {name: np.asarray(value) for name, value in broken.params.items()}
    for count in (1, 2):
        broken, metrics = step(broken, batch)
        assert int(metrics["bad_steps"]) == int(metrics["bad_in_row"]) == int(broken.step) == count
    for name, value in before.items():
        np.testing.assert_array_equal(value, broken.params[name])
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(broken.moments))
    healed, metrics = step(
        broken._replace(params=jax.tree.map(jnp.copy, Skeleton.of(tiny.model())[1])), batch
    )
    assert int(metrics["bad_steps"]) == 2 and int(metrics["bad_in_row"]) == 0
    assert not np.array_equal(healed.params["decoder.logits"], before["decoder.logits"])
