"""One step of the optimizer, and one of the evaluation, as programs of a mesh of devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rosella.model.flops import training_flops
from rosella.model.sharding import ROWS
from rosella.training import objective
from rosella.training.batches import Batch
from rosella.training.blocks import Noisy
from rosella.training.loss import Sums
from rosella.training.optimizer import clip, make_optimizer
from rosella.training.recipe import Recipe
from rosella.training.state import Skeleton, TrainState, abstract_state

Params = dict[str, jax.Array]
Metrics = dict[str, jax.Array]
Evaluation = Callable[[Params, Batch], dict[str, Sums]]
Learn = Callable[[Params, Batch | Noisy], tuple[tuple[jax.Array, Metrics], Params]]


def make_step(skeleton: Skeleton, recipe: Recipe, mesh: Mesh) -> jax.stages.Wrapped:
    """One jitted optimizer step, `(state, batch) -> (state, metrics)`, which reuses the memory of `state`.

    The rows of a batch are a multiple of what holds rows in `mesh` times `recipe.accumulate`. `lower` and `compile` take
    an `abstract_state` and an abstract batch too, also for a mesh of devices that are not there. A step whose loss or
    gradient is not finite changes nothing but the counters.
    """
    optimizer = make_optimizer(recipe.optimizer)
    placed = jax.tree.map(lambda leaf: leaf.sharding, abstract_state(skeleton.abstract(mesh), optimizer))

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            (loss, learnt), gradients, measured = _learn(skeleton, recipe, mesh, state, batch)
        gradients = jax.lax.with_sharding_constraint(gradients, placed.params)
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
        metrics = learnt | measured | counters
        return TrainState(params, moments, state.step + 1, state.key, bad, in_row), metrics

    rows, whole = NamedSharding(mesh, ROWS), NamedSharding(mesh, PartitionSpec())
    return jax.jit(step, in_shardings=(placed, rows), out_shardings=(placed, whole), donate_argnums=0)


def make_evaluation(skeleton: Skeleton, recipe: Recipe, mesh: Mesh) -> Evaluation:
    """Jitted `(params, batch)` to what `objective.evaluate` sums up, nothing dropped; in parts as the step is."""
    placed = {name: leaf.sharding for name, leaf in skeleton.abstract(mesh).items()}
    rows, whole = NamedSharding(mesh, ROWS), NamedSharding(mesh, PartitionSpec())

    def sums(params: Params, part: objective.Examined) -> dict[str, Sums]:
        return objective.evaluate(skeleton.join(params), part, recipe)

    def evaluate(params: Params, batch: Batch) -> dict[str, Sums]:
        given = objective.examined(batch, recipe, skeleton.join(params).config.decoder)
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            return _in_parts(sums, params, given, recipe.accumulate, mesh)

    return jax.jit(evaluate, in_shardings=(placed, rows), out_shardings=whole)


def _learn(
    skeleton: Skeleton, recipe: Recipe, mesh: Mesh, state: TrainState, batch: Batch
) -> tuple[tuple[jax.Array, Metrics], Params, Metrics]:
    """Loss, figures and gradients of a batch, and what of it is logged."""
    key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
    config = skeleton.join(state.params).config
    given, measured = objective.drop(batch, key, recipe, config.decoder)
    counts = objective.count(given, recipe, config.decoder)
    flops = training_flops(
        config, batch.steps.astype(jnp.float32), batch.text_lengths, 1, recipe.sequences
    ).sum()

    def loss_of(params: Params, part: Batch | Noisy) -> tuple[jax.Array, Metrics]:
        return objective.learn(skeleton.join(params), part, counts, state.step, recipe)

    learn: Learn = jax.value_and_grad(loss_of, has_aux=True)
    losses, gradients = _in_parts(learn, state.params, given, recipe.accumulate, mesh)
    return losses, gradients, measured | {"flops": flops}


def _in_parts(of: Callable[[Params, Any], Any], params: Params, batch: Any, parts: int, mesh: Mesh) -> Any:
    """What `of` gives for the whole batch, summed over its parts; part k takes rows k, k + parts, …

    So every device keeps its rows.
    """
    if parts == 1:
        return of(params, batch)
    placed = NamedSharding(mesh, PartitionSpec(None, *ROWS))

    def cut(leaf: jax.Array) -> jax.Array:
        stacked = jnp.moveaxis(leaf.reshape(-1, parts, *leaf.shape[1:]), 1, 0)
        return jax.lax.with_sharding_constraint(stacked, placed)

    def add(total: Any, part: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, of(params, part)), None

    cuts = jax.tree.map(cut, batch)
    like = jax.eval_shape(of, params, jax.tree.map(lambda leaf: leaf[0], cuts))
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), like)
    return jax.lax.scan(add, zero, cuts)[0]
