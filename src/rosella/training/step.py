"""One step of the optimizer, and one of the evaluation, as programs of a device."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from rosella.training import objective
from rosella.training.batches import Batch
from rosella.training.optimizer import clip, make_optimizer
from rosella.training.recipe import Recipe
from rosella.training.state import Skeleton, TrainState

Params = dict[str, jax.Array]
Metrics = dict[str, jax.Array]
Step = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
Evaluation = Callable[[Params, Batch], tuple[jax.Array, jax.Array]]


def make_step(skeleton: Skeleton, recipe: Recipe) -> Step:
    """One jitted optimizer step, `(state, batch) -> (state, metrics)`, which reuses the memory of `state`.

    A step whose loss or gradient is not finite changes nothing but the counters.
    """
    optimizer = make_optimizer(recipe.optimizer)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)

        def loss_of(params: Params) -> tuple[jax.Array, Metrics]:
            return objective.learn(skeleton.join(params), batch, key, state.step, recipe)

        (loss, metrics), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        gradients, norm = clip(gradients, recipe.optimizer.clip)
        updates, moments = optimizer.update(gradients, state.moments, state.params)
        rate = recipe.optimizer.learning_rate(state.step, recipe.steps, jnp)
        good = jnp.isfinite(loss) & jnp.isfinite(norm)
        params = optax.apply_updates(state.params, jax.tree.map(lambda u: -rate * u, updates))
        bad, in_row = state.bad_steps + ~good, jnp.where(good, 0, state.bad_in_row + 1)
        params, moments = jax.tree.map(
            lambda new, old: jnp.where(good, new, old), (params, moments), (state.params, state.moments)
        )
        counters = {"lr": rate, "grad_norm": norm, "bad_steps": bad, "bad_in_row": in_row}
        return TrainState(params, moments, state.step + 1, state.key, bad, in_row), metrics | counters

    return jax.jit(step, donate_argnums=0)


def make_evaluation(skeleton: Skeleton) -> Evaluation:
    """Jitted `(params, batch) -> (summed loss, count)` per codebook, without text dropout."""
    return jax.jit(lambda params, batch: objective.evaluate(skeleton.join(params), batch))
