from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rosella.model.sharding import make_mesh
from rosella.model.transformer import Dia
from rosella.training import batches, loop, order
from rosella.training.mesh import Rows
from rosella.training.optimizer import make_optimizer
from rosella.training.state import Skeleton, abstract_state, fresh_state
from rosella.training.step import make_step
from training import tiny

ROOT = Path(__file__).parents[2]


def step_and_batch(export, make_step=None, **changes):
    """`make_step` where a test needs a step of its own, and not the one that all tests share."""
    recipe = tiny.recipe(export.directory, **changes)
    skeleton, params = Skeleton.of(tiny.model())
    splits = [order.read_split(export, recipe.data, name) for name in ("train", "validation")]
    overhead = tiny.config().steps(0)
    buckets = order.choose_buckets(splits, recipe.data, overhead)
    plan = order.plan_training(splits[0], buckets, recipe.data, 1, 0, overhead)
    batch = batches.assemble(batches.codes_reader(export, splits[0]), splits[0], tiny.config(), plan[0])
    step = (make_step or loop.make_step)(skeleton, recipe, make_mesh(1, 1, 1))
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


BLOCKS = {"objective": "blocks", "blocks": {"size": 4}}


@pytest.mark.parametrize(("several", "told"), [((1, 2, 4), {}), ((1, 2), BLOCKS)])
def test_a_batch_in_parts_gives_the_same_loss_and_gradients(export, several, told):
    """What is dropped is drawn, and what counts is counted, for the whole batch; two rows are empty ones."""
    data = {
        **tiny.recipe("x").data.model_dump(),
        "export": export.directory,
        "batch_size": 6,
        "loss_weights": True,
    }
    drops = {"text_dropout": 0.5, "frame_dropout": 0.3, "data": data, **told}
    found = []
    for parts in several:
        step, state, batch = step_and_batch(export, make_step, accumulate=parts, **drops)
        rows = Rows(make_mesh(1, 1, 1), 4)
        padded = jax.tree.map(lambda leaf: np.pad(leaf, [(0, 2)] + [(0, 0)] * (leaf.ndim - 1)), batch)
        padded.targets[6:] = tiny.config().decoder.pad_token_id
        assert rows.padded(6) == len(padded.weights)
        state, metrics = step(state, rows.place(padded) if parts > 1 else batch)
        found.append((jax.device_get(metrics), jax.device_get(state.moments)))
    (alone, moments), *others = found
    for metrics, moved in others:
        assert metrics.keys() >= {"loss", "codebook_losses", "grad_norm", "frames", "text_dropped"}
        for name in metrics:
            np.testing.assert_allclose(metrics[name], alone[name], rtol=1e-6, err_msg=name)
        # The first moments are a tenth of the gradients.
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-8), moved, moments)


def test_a_step_is_compiled_for_devices_by_shapes_alone(export):
    recipe = tiny.recipe(export.directory)
    mesh = make_mesh(1, 1, 1)
    skeleton = Skeleton.of(nnx.eval_shape(lambda: Dia(tiny.config(), nnx.Rngs(0))))[0]
    state = abstract_state(skeleton.abstract(mesh), make_optimizer(recipe.optimizer))
    _, _, batch = step_and_batch(export)
    abstract = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), batch)
    compiled = make_step(skeleton, recipe, mesh).lower(state, abstract).compile()
    memory = compiled.memory_analysis()
    kept = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    assert memory.alias_size_in_bytes >= 0.99 * kept, "the state is donated"
